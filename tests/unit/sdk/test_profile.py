"""The local profile: private, whole, bounded, and no credential for a gateway but its own."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hyperinfer.errors import IdentityError, Unauthenticated
from hyperinfer.sdk import profile
from hyperinfer.sdk.client import AsyncClient
from hyperinfer.sdk.profile import MAX_ACCOUNTS, Account
from hyperinfer.sdk.replies import Session, User

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
    assert AsyncClient(THERE)._transport._headers.get("authorization") is None
    assert AsyncClient(HERE + "/v1")._transport._headers["authorization"] == "Bearer hi_secret"
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


def test_a_session_that_has_ended_says_so_instead_of_acting_as_another() -> None:
    session = Session(access_token="jwt", expires_in=60, user=User(id="1", username="ada", email="a@example.com"))
    account = profile.of_session(HERE, session, NOW)
    assert account.credential(NOW) == "jwt"
    with pytest.raises(Unauthenticated, match="hyperinfer login"):
        account.credential(NOW + timedelta(seconds=60))


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
