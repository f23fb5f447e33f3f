"""When signing keys are made, sign, are retired and dropped: turned hour by hour, whatever the settings."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from hyperinfer.workers.auth.models import SigningKeyRow
from hyperinfer.workers.auth.signing import LEAD, MARGIN, due, signer

START = datetime(2026, 11, 1, tzinfo=UTC)
HOUR_S = 3600


def row(name: str, created_at: datetime, retired_at: datetime | None = None) -> SigningKeyRow:
    return SigningKeyRow(id=name, public_key="", created_at=created_at, retired_at=retired_at)


def test_the_first_key_signs_at_once_and_the_next_once_it_is_known() -> None:
    first, second = row("first", START), row("second", START + timedelta(days=1))
    assert signer([], START) is None
    assert signer([first], START) is first
    assert signer([first, second], second.created_at + LEAD - timedelta(seconds=1)) is first
    assert signer([first, second], second.created_at + LEAD) is second
    gone = row("gone", START, retired_at=START)
    assert signer([gone], START) is None


@given(
    rotate_s=st.integers(2 * HOUR_S, 100 * HOUR_S),
    lasts_s=st.integers(60, 300 * HOUR_S),
    steps=st.lists(st.integers(60, 50 * HOUR_S), max_size=60),
)
def test_at_every_moment_a_known_key_signs_and_no_token_outlives_its_key(
    rotate_s: int, lasts_s: int, steps: list[int]
) -> None:
    now, rows, tokens = START, list[SigningKeyRow](), dict[str, datetime]()
    for step_s in [0, *steps]:
        now += timedelta(seconds=step_s)
        wanted = due(rows, now, rotate_s=rotate_s, lasts_s=lasts_s)
        for name in wanted.drop:
            assert tokens.get(name, START) <= now, "a token that still lasts would not verify"
        rows = [one for one in rows if one.id not in wanted.drop]
        for one in rows:
            if one.id in wanted.retire:
                one.retired_at = now
        if wanted.make:
            rows.append(row(f"key {len(tokens)} {now}", now))
        signs = signer(rows, now)
        assert signs is not None
        usable = [one for one in rows if one.retired_at is None]
        assert (
            signs.created_at + LEAD <= now
            or len(rows) == len(usable) == 1
            or signs.created_at == min(one.created_at for one in usable)
        )
        tokens[signs.id] = now + timedelta(seconds=lasts_s)
        assert sum(one.retired_at is None for one in rows) <= 3
        assert len(rows) <= 4 + lasts_s // rotate_s + len(steps)


def test_a_retired_key_stays_until_its_last_token_has_expired_and_no_longer() -> None:
    old, new = row("old", START, retired_at=START), row("new", START)
    end = START + timedelta(seconds=HOUR_S) + MARGIN
    assert due([old, new], end - timedelta(seconds=1), rotate_s=10**7, lasts_s=HOUR_S).drop == ()
    assert due([old, new], end, rotate_s=10**7, lasts_s=HOUR_S).drop == ("old",)


def test_nothing_is_due_in_between() -> None:
    assert not due([row("one", START)], START + timedelta(hours=1), rotate_s=24 * HOUR_S, lasts_s=HOUR_S)
