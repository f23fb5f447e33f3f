"""What a key may do, and who may give it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from hyperinfer.contracts.limits import Limits
from hyperinfer.contracts.people import GenerateApiKey, Scope, UpdateApiKey
from hyperinfer.errors import BadRequest, Forbidden
from hyperinfer.workers.auth import powers
from hyperinfer.workers.auth.actors import Acting
from hyperinfer.workers.auth.models import ApiKeyRow, SessionRow, User
from hyperinfer.workers.auth.powers import Settings, changed, check, wanted

NOW = datetime(2026, 11, 1, tzinfo=UTC)
SOON, LATER = NOW + timedelta(days=1), NOW + timedelta(days=2)
PLAIN = Settings(scopes=("inference", "account"))


def by_session(role: str = "user") -> Acting:
    return Acting(User(role=role), session=SessionRow())


def by_key(settings: Settings, role: str = "user") -> Acting:
    row = ApiKeyRow()
    settings.put_into(row)
    assert powers.of(row) == settings
    return Acting(User(role=role), key=row)


def test_a_session_gives_all_that_its_holder_may() -> None:
    everything = Settings(scopes=("inference", "usage", "account", "admin"))
    check(everything, by_session("admin"))
    with pytest.raises(Forbidden, match="admin"):
        check(everything, by_session("user"))


@pytest.mark.parametrize(
    ("own", "given", "param"),
    [
        (PLAIN, replace(PLAIN, scopes=("usage",)), "scopes"),
        (replace(PLAIN, models=("llama*",)), PLAIN, "models"),
        (replace(PLAIN, models=("llama*",)), replace(PLAIN, models=("llama-1", "other")), "models"),
        (replace(PLAIN, models=("llama*",)), replace(PLAIN, models=("l*",)), "models"),
        (replace(PLAIN, models=("llama",)), replace(PLAIN, models=("llama*",)), "models"),
        (replace(PLAIN, expires_at=SOON), PLAIN, "expires_at"),
        (replace(PLAIN, expires_at=SOON), replace(PLAIN, expires_at=LATER), "expires_at"),
        (replace(PLAIN, limits=Limits(tokens_per_day=5)), PLAIN, "limits"),
        (replace(PLAIN, limits=Limits(tokens_per_day=5)), replace(PLAIN, limits=Limits(tokens_per_day=6)), "limits"),
        (
            replace(PLAIN, limits=Limits(requests_per_interval=5, interval_minutes=60)),
            replace(PLAIN, limits=Limits(requests_per_interval=5, interval_minutes=1)),
            "limits",
        ),
    ],
)
def test_a_key_gives_no_more_than_it_has(own: Settings, given: Settings, param: str) -> None:
    with pytest.raises(Forbidden) as caught:
        check(given, by_key(own))
    assert caught.value.details == {"param": param}
    check(given, by_session())


def test_a_key_gives_what_it_has_and_less() -> None:
    own = Settings(
        scopes=("inference", "account"),
        models=("llama*", "other"),
        expires_at=LATER,
        limits=Limits(tokens_per_day=5, requests_per_interval=5, interval_minutes=60),
    )
    check(own, by_key(own))
    less = Settings(
        scopes=("inference",),
        models=("llama-3*", "other"),
        expires_at=SOON,
        limits=Limits(tokens_per_day=5, requests_per_interval=1, interval_minutes=60, requests_per_minute=1),
    )
    check(less, by_key(own))


def test_an_administrators_key_without_the_scope_does_not_give_it() -> None:
    with pytest.raises(Forbidden, match="admin"):
        check(Settings(scopes=("admin",)), by_key(PLAIN, "admin"))


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        (GenerateApiKey(scopes=()), "scopes"),
        (GenerateApiKey(models=("",)), "models"),
        (GenerateApiKey(models=("a\nb",)), "models"),
        *((GenerateApiKey(expires_at=text), "expires_at") for text in ("", "x", "2027-01-01", "2027-01-01T00:00:00")),
        (GenerateApiKey(expires_at="2026-10-31T23:59:59Z"), "expires_at"),
        (GenerateApiKey(expires_at="2026-11-01T00:00:00Z"), "expires_at"),
        (GenerateApiKey(expires_at="9999-12-31T23:59:59-23:59"), "expires_at"),
    ],
)
def test_what_makes_no_sense_is_told_by_field(request_: GenerateApiKey, param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        wanted(request_, now=NOW)
    assert caught.value.details == {"param": param}


def test_what_is_said_twice_counts_once() -> None:
    scopes: tuple[Scope, ...] = ("usage", "usage", "inference")
    made = wanted(GenerateApiKey(scopes=scopes, models=("a", "a"), expires_at="2026-11-02T01:00:00+01:00"), now=NOW)
    assert made == Settings(scopes=("usage", "inference"), models=("a",), expires_at=SOON)


def test_a_change_leaves_what_it_does_not_name_and_can_take_away() -> None:
    before = Settings(scopes=("usage",), models=("a",), expires_at=SOON, limits=Limits(tokens_per_day=1))
    assert changed(before, UpdateApiKey(id=""), now=NOW) == before
    after = changed(before, UpdateApiKey(id="", models=(), expires_at=powers.NEVER, limits=Limits()), now=NOW)
    row = ApiKeyRow()
    after.put_into(row)
    assert powers.of(row) == Settings(scopes=("usage",))
    assert changed(before, UpdateApiKey(id="", scopes=("inference",)), now=NOW) == replace(
        before, scopes=("inference",)
    )
