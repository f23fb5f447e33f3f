"""Profiles: which gateway, as whom, and how one is chosen; and who that makes this person."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from hyperinfer.contracts import gateway as contract
from hyperinfer.contracts import people, usage
from hyperinfer.errors import Forbidden
from hyperinfer.sdk import profile
from hyperinfer.testing.edge import served
from hyperinfer.testing.gateway import FakeGateway, always

from .conftest import Command

KEY = "hi_abcdefgh_secretsecret"
ADA = people.Account(
    id="1", username="ada", email="ada@example.com", role="user", tier="premium", created_at="2026-01-02T12:00:00Z"
)


@pytest.fixture
def two(url: str) -> str:
    """Two profiles at one gateway, the second in use, beside the one of the fixture."""
    ends = datetime(2099, 1, 2, 12, tzinfo=UTC)
    profile.save(profile.Account(gateway=url, username="admin", api_key=KEY, profile="work"))
    profile.save(
        profile.Account(
            gateway=url, username="ada", token="jwt", token_began=ends - timedelta(days=36500), token_ends=ends
        )
    )
    return url


def test_profiles_are_listed_without_secrets(command: Command, two: str) -> None:
    done = command("profile", "list")
    assert [line.split()[:4] for line in done.out.splitlines()[1:3]] == [
        ["*", "ada", two, "-"],
        ["work", "admin", two, "hi_abcdefgh"],
    ]
    shown = json.loads(command("profile", "list", "--json").out)
    assert [(one["profile"], one["username"], one["in_use"]) for one in shown[:2]] == [
        (None, "ada", True),
        ("work", "admin", False),
    ]
    assert "secret" not in done.out


def test_none_yet_says_how_to_have_one(command: Command) -> None:
    done = command("profile", "list")
    assert (done.out, done.code) == ("", 0)
    assert "hyperinfer login --gateway" in done.err


@pytest.mark.parametrize("name", ["work", "admin"])
def test_one_is_used_by_its_name_or_its_user(command: Command, two: str, name: str) -> None:
    assert command("profile", "use", name).out == f"You are admin at {two} from now on.\n"
    assert profile.account_for(None).username == "admin"


@pytest.mark.usefixtures("two")
def test_what_is_none_or_several_is_refused(command: Command, url: str) -> None:
    assert "no profile 'bob'" in command("profile", "use", "bob").err
    assert "Say which" in command("profile", "use", url).err


@pytest.mark.usefixtures("two")
def test_a_profile_is_named_anew_unless_the_name_is_taken(command: Command) -> None:
    assert command("profile", "name", "ada", "home").code == 0
    named = profile.load().named("home")
    assert named is not None
    assert named.username == "ada"
    assert "Another profile has this name" in command("profile", "name", "ada", "work").err
    assert command("profile", "name", "ada", "two words").code == 2


@pytest.mark.usefixtures("two")
def test_a_profile_is_forgotten_once_that_is_confirmed(command: Command) -> None:
    assert command("profile", "remove", "work", stdin="n\n").code == 130
    assert profile.load().named("work") is not None
    assert command("profile", "remove", "work", "--yes").code == 0
    assert profile.load().named("work") is None


def test_a_command_acts_as_the_profile_that_it_is_told(command: Command, two: str, gateway: FakeGateway) -> None:
    assert command("ask", "--profile", "work", "hi").out == "four.\n"
    assert gateway.calls[-1][2].key == KEY
    command("ask", "hi")
    assert gateway.calls[-1][2].key == "jwt"
    assert "no profile 'play'" in command("ask", "--profile", "play", "hi").err
    assert command("ask", "--profile", "a b", "hi").code == 2
    with served(gateway) as other:
        assert f"work is at {two}, not at {other}" in command("ask", "--profile", "work", "--gateway", other, "hi").err


def test_the_environment_chooses_a_profile_a_gateway_and_a_key(
    command: Command, two: str, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYPERINFER_PROFILE", "work")
    command("ask", "hi")
    assert gateway.calls[-1][2].key == KEY
    monkeypatch.setenv("HYPERINFER_GATEWAY", two)
    monkeypatch.setenv("HYPERINFER_API_KEY", "hi_environment")
    command("ask", "hi")
    assert gateway.calls[-1][2].key == "hi_environment"


def test_logging_in_under_a_name_keeps_it_there(command: Command, url: str, gateway: FakeGateway) -> None:
    gateway.answers["login"] = always(
        contract.LoginReply(success=True, status=200, key="jwt", expires_in=3600, account=ADA)
    )
    assert command("login", "--profile", "home", "ada", stdin="horse\n").code == 0
    named = profile.load().named("home")
    assert named is not None
    assert (named.gateway, named.username, named.token) == (url, "ada", "jwt")


# --- whoami ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("two")
def test_who_one_is_in_a_session(command: Command, url: str, gateway: FakeGateway) -> None:
    gateway.answers["getAccount"] = always(ADA)
    facts = dict(line.split(maxsplit=1) for line in command("whoami").out.splitlines() if not line.startswith("API"))
    assert (facts["gateway"], facts["user"], facts["tier"]) == (url, "ada", "premium")
    assert facts["session"].startswith("until 2099-01-0")
    shown = json.loads(command("whoami", "--json").out)
    assert (shown["username"], shown["key_prefix"], shown["error"]) == ("ada", None, None)


@pytest.mark.usefixtures("two")
def test_who_one_is_by_a_key_that_may_not_look_after_the_account(command: Command, gateway: FakeGateway) -> None:
    gateway.answers |= {
        "getAccount": always(Forbidden("This key lacks the scope account.")),
        "getUserQuota": always(usage.Quota(tier="default")),
    }
    done = command("whoami", "--profile", "work")
    assert done.code == 0
    assert "API key  hi_abcdefgh_…" in done.out
    assert "tier     default" in done.out
    assert "secret" not in done.out


def test_who_one_would_be_at_a_gateway_that_is_away(command: Command) -> None:
    with served(FakeGateway()) as url:
        profile.save(profile.Account(gateway=url, username="ada", token="jwt"))
    done = command("whoami")
    assert done.code == 1
    assert "user     ada" in done.out
    assert "hyperinfer up" in done.err
    assert json.loads(command("whoami", "--json").out)["error"] == "UNAVAILABLE"
