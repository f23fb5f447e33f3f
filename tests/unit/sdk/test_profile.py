"""The local profile: private, whole, bounded, and no credential for a gateway but its own."""

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hyperinfer.errors import BadRequest, IdentityError, Unauthenticated
from hyperinfer.sdk import profile
from hyperinfer.sdk.people import Session, User
from hyperinfer.sdk.profile import MAX_ACCOUNTS, Account
from hyperinfer.sdk.ways import way_to

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HERE = "http://127.0.0.1:3000"
THERE = "https://ai.example"


def test_an_account_is_kept_for_its_owner_alone(profile_file: Path) -> None:
    profile.save(Account(gateway=HERE, api_key="hi_secret"))
    assert stat.S_IMODE(profile_file.stat().st_mode) == 0o600
    assert profile.load().current == Account(gateway=HERE, api_key="hi_secret")


def test_no_profile_is_an_empty_one() -> None:
    assert profile.load().accounts == ()
    with pytest.raises(Unauthenticated, match="hyperinfer up"):
        profile.account_for(None)


def test_a_credential_is_shown_to_its_own_gateway_only() -> None:
    profile.save(Account(gateway=HERE, api_key="hi_secret"))
    assert (way_to(THERE, None).to_models(), way_to(THERE, None).to_account()) == ("", "")
    assert way_to(HERE + "/v1", None).to_models() == "hi_secret"
    assert way_to(None, None).to_account() == "hi_secret"
    assert way_to(THERE, "given").to_models() == "given"
    with pytest.raises(Unauthenticated, match=f"login --gateway {THERE}"):
        profile.account_for(THERE)


def test_the_account_used_last_is_the_current_one() -> None:
    profile.save(Account(gateway=HERE, api_key="a"))
    profile.save(Account(gateway=THERE, username="ada", token="b"))
    assert profile.account_for(None).gateway == THERE
    profile.save(Account(gateway=THERE, username="ada", token="c"))
    assert [one.token for one in profile.load().accounts] == ["c", ""]


def test_two_local_swarms_on_one_port_keep_their_keys_apart() -> None:
    profile.save(Account(gateway=HERE, api_key="a", data_dir="/a"))
    profile.save(Account(gateway=HERE, api_key="b", data_dir="/b"))
    profile.save(Account(gateway="http://127.0.0.1:3001", api_key="a", data_dir="/a"))
    known = profile.load()
    assert len(known.accounts) == 2
    moved, other = known.of_data("/a"), known.at(HERE)
    assert moved is not None
    assert moved.gateway == "http://127.0.0.1:3001"
    assert other is not None
    assert other.api_key == "b"


def session(token: str = "jwt", expires_in: int = 60, username: str = "ada") -> Session:
    user = User(id="1", username=username, email="a@example.com", created_at=NOW)
    return Session(access_token=token, expires_in=expires_in, user=user)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_models_are_asked_with_the_key_and_the_account_is_looked_after_in_the_session() -> None:
    key = Account(gateway=HERE, api_key="hi_secret")
    assert (key.to_models(NOW), key.to_account(NOW)) == ("hi_secret", "hi_secret")
    with pytest.raises(Unauthenticated, match="not an API key"):
        key.session(NOW)
    both = key.in_session(session(), NOW)
    assert (both.to_models(NOW), both.to_account(NOW), both.session(NOW)) == ("hi_secret", "jwt", "jwt")
    alone = both.with_key("")
    assert (alone.to_models(NOW), alone.to_account(NOW)) == ("jwt", "jwt")
    nothing = both.emptied()
    for credential in (nothing.to_models, nothing.to_account, nothing.session):
        with pytest.raises(Unauthenticated, match=f"not logged in at {HERE}"):
            credential(NOW)


def test_a_session_that_has_ended_says_so_instead_of_acting_as_another() -> None:
    account = Account(gateway=HERE, api_key="hi_secret").in_session(session(), NOW)
    assert account.to_account(after(59)) == "jwt"
    for credential in (account.to_account, account.session, account.with_key("").to_models):
        with pytest.raises(Unauthenticated, match=f"has ended. Log in again: `hyperinfer login --gateway {HERE} ada`"):
            credential(after(60))
    assert account.to_models(after(60)) == "hi_secret"


def test_a_session_is_to_be_renewed_in_the_second_half_of_its_life() -> None:
    account = Account(gateway=HERE).in_session(session(), NOW)
    assert [account.is_to_renew(after(at)) for at in (0, 29, 31, 59, 60)] == [False, False, True, True, False]
    assert not account.logged_out().is_to_renew(after(31))


def test_what_becomes_of_an_account_stays_where_it_was() -> None:
    first, second = Account(gateway=HERE, username="a"), Account(gateway=THERE, username="b", api_key="k")
    profile.save(first)
    profile.save(second)
    profile.keep(first, first.in_session(session(username="c"), NOW))
    assert [one.username for one in profile.load().accounts] == ["b", "c"]
    assert profile.load().at(HERE, "c") is not None
    assert profile.load().at(HERE, "a") is None
    profile.keep(first, first.with_key("lost"))  # another program has renamed it meanwhile
    assert [one.username for one in profile.load().accounts] == ["b", "c"]
    profile.keep(second, second.emptied())
    with pytest.raises(Unauthenticated, match="not logged in"):
        profile.account_for(None).to_models(NOW)


def test_the_profile_does_not_grow_without_bound() -> None:
    for number in range(MAX_ACCOUNTS + 5):
        profile.save(Account(gateway=f"http://127.0.0.1:{3000 + number}", api_key="k"))
    assert len(profile.load().accounts) == MAX_ACCOUNTS


def test_a_profile_that_others_can_read_is_refused(profile_file: Path) -> None:
    profile.save(Account(gateway=HERE, api_key="hi_secret"))
    profile_file.chmod(0o644)
    with pytest.raises(IdentityError, match="chmod 600"):
        profile.load()


def test_a_damaged_profile_is_said_and_never_replaced(profile_file: Path) -> None:
    profile.save(Account(gateway=HERE, api_key="hi_secret"))
    profile_file.write_text("{")
    with pytest.raises(IdentityError, match="damaged"):
        profile.save(Account(gateway=THERE, api_key="x"))
    assert profile_file.read_text() == "{"


def test_credentials_are_not_part_of_what_is_printed() -> None:
    assert "hi_secret" not in repr(profile.Profile((Account(gateway=HERE, api_key="hi_secret"),)))


# --- names and the environment ---------------------------------------------------------------------------------


@contextmanager
def choosing(name: str) -> Iterator[None]:
    token = profile.chosen.set(name)
    try:
        yield
    finally:
        profile.chosen.reset(token)


def test_an_account_is_kept_and_used_under_the_name_that_is_chosen() -> None:
    with choosing("work"):
        profile.save(Account(gateway=THERE, username="ada", token="t"))
    profile.save(Account(gateway=HERE, api_key="k"))
    assert profile.account_for(None).gateway == HERE
    with choosing("work"):
        assert (profile.account_for(None).gateway, profile.account_for(THERE).token) == (THERE, "t")
        with pytest.raises(BadRequest, match=f"work is at {THERE}, not at {HERE}"):
            profile.account_for(HERE)
    with choosing("play"), pytest.raises(Unauthenticated, match="no profile 'play'"):
        profile.account_for(None)


def test_a_name_goes_to_who_is_kept_under_it_last() -> None:
    for gateway in (HERE, THERE):
        with choosing("work"):
            profile.save(Account(gateway=gateway, api_key="k"))
    assert [(one.gateway, one.profile) for one in profile.load().accounts] == [(THERE, "work"), (HERE, "")]


def test_an_account_can_be_removed() -> None:
    profile.save(Account(gateway=HERE, api_key="k"))
    profile.save(Account(gateway=THERE, api_key="k"))
    profile.remove(Account(gateway=THERE))
    assert [one.gateway for one in profile.load().accounts] == [HERE]


def test_the_environment_says_where_to_and_as_whom(monkeypatch: pytest.MonkeyPatch) -> None:
    profile.save(Account(gateway=THERE, username="ada", token="t", profile="work"))
    profile.save(Account(gateway=HERE, api_key="k"))
    monkeypatch.setenv("HYPERINFER_PROFILE", "work")
    assert profile.account_for(None).token == "t"
    assert profile.account_for(HERE).api_key == "k"
    monkeypatch.setenv("HYPERINFER_GATEWAY", f"{HERE}/v1")
    assert profile.account_for(None).api_key == "k"


def test_a_key_of_the_environment_is_shown_to_the_gateway_of_the_environment_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    profile.save(Account(gateway=HERE, api_key="k"))
    monkeypatch.setenv("HYPERINFER_API_KEY", "hi_environment")
    assert profile.account_for(None).api_key == "k"
    monkeypatch.setenv("HYPERINFER_GATEWAY", THERE)
    assert (profile.account_for(None).gateway, profile.account_for(None).api_key) == (THERE, "hi_environment")
    assert profile.account_for(HERE).api_key == "k"
