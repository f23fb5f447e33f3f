"""`hyperinfer keys`: named as people name them, shown once, and kept in the profile where they are used."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hyperinfer.contracts import people
from hyperinfer.contracts.limits import Limits
from hyperinfer.contracts.people import ApiKey, ApiKeys, NewApiKey
from hyperinfer.sdk import profile
from hyperinfer.testing.gateway import FakeGateway, always

from .conftest import Command

AT = "2026-01-02T12:00:00Z"
SECRET = "hi_eeeeeeee_secret"
NEW = NewApiKey(id="k-9", name="ci", prefix="hi_eeeeeeee", created_at=AT, key=SECRET)
LIMITS = Limits(requests_per_minute=3, tokens_per_day=7)
APP = ApiKey(
    id="k-3",
    name="app",
    prefix="hi_cccccccc",
    created_at=AT,
    expires_at="2999-01-02T12:00:00Z",
    models=("m",),
    limits=LIMITS,
)
KEYS = ApiKeys(
    keys=(
        ApiKey(id="k-1", name="ci", prefix="hi_aaaaaaaa", created_at=AT),
        ApiKey(id="k-2", name="ci", prefix="hi_bbbbbbbb", created_at=AT, expires_at=AT),
        APP,
        ApiKey(id="k-4", name="old", prefix="hi_dddddddd", created_at=AT, is_active=False),
    )
)


@pytest.fixture
def gateway(gateway: FakeGateway) -> FakeGateway:
    gateway.answers |= {
        "listApiKeys": always(KEYS),
        "generateApiKey": always(NEW),
        "rotateApiKey": always(NEW),
        "updateApiKey": always(APP),
        "revokeApiKey": always(APP),
    }
    return gateway


pytestmark = pytest.mark.usefixtures("url")


def last(gateway: FakeGateway) -> Any:
    return gateway.calls[-1][1]


def test_keys_are_listed_without_their_secrets(command: Command) -> None:
    lines = command("keys", "list").out.splitlines()
    assert lines[0].split() == ["KEY", "NAME", "CREATED", "EXPIRES", "LAST", "USED", "STATE"]
    assert lines[1].split() == ["hi_aaaaaaaa", "ci", "2026-01-02", "-", "-", "active"]
    assert [line.split()[-1] for line in lines[1:]] == ["active", "expired", "active", "revoked"]
    assert max(map(len, lines)) <= 80
    assert json.loads(command("keys", "list", "--json").out)[2]["limits"] == {
        "requests_per_minute": 3,
        "tokens_per_day": 7,
    }


def test_who_has_no_key_is_told_how_to_make_one(command: Command, gateway: FakeGateway) -> None:
    gateway.answers["listApiKeys"] = always(ApiKeys())
    done = command("keys", "list")
    assert (done.code, done.out) == (0, "")
    assert "keys create" in done.err


def test_what_a_key_may_do_is_shown(command: Command) -> None:
    facts = dict(line.split(maxsplit=1) for line in command("keys", "show", "app").out.splitlines())
    assert facts["scopes"] == "inference usage"
    assert facts["models"] == "m"
    assert facts["limits"] == "requests-per-minute=3 tokens-per-day=7"
    assert command("keys", "show", "old").code == 0  # of a revoked one too
    assert json.loads(command("keys", "show", "app", "--json").out)["id"] == "k-3"


def test_a_new_key_is_the_output_and_nothing_else_is(command: Command, gateway: FakeGateway) -> None:
    done = command("keys", "create", "ci")
    assert (done.code, done.out) == (0, f"{SECRET}\n")
    assert "not shown again" in done.err
    assert last(gateway) == people.GenerateApiKey(name="ci")
    assert json.loads(command("keys", "create", "--json").out)["key"] == SECRET
    assert profile.account_for(None).api_key == "hi_key"


def test_everything_may_be_said_of_a_new_key(command: Command, gateway: FakeGateway) -> None:
    before = datetime.now(UTC)
    command(
        *("keys", "create", "ci", "--expires", "30d", "--scope", "inference", "--scope", "usage"),
        *("--model", "m*", "--limit", "requests-per-minute=3", "--limit", "tokens-per-day=7"),
    )
    wanted = last(gateway)
    assert (wanted.scopes, wanted.models, wanted.limits) == (("inference", "usage"), ("m*",), LIMITS)
    lasts = datetime.fromisoformat(wanted.expires_at) - before
    assert timedelta(days=30) <= lasts < timedelta(days=30, minutes=1)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--expires", "soon"), 1, "--expires takes a time"),
        (("--limit", "requests=1"), 1, "There is no limit 'requests'"),
        (("--scope", "everything"), 2, "everything"),
    ],
)
def test_what_makes_no_sense_is_refused_before_it_is_sent(
    command: Command, gateway: FakeGateway, words: tuple[str, ...], code: int, said: str
) -> None:
    done = command("keys", "create", "ci", *words)
    assert done.code == code
    assert said in done.err
    assert gateway.calls == []


def test_a_new_key_may_be_used_from_now_on(command: Command) -> None:
    done = command("keys", "create", "ci", "--use")
    assert done.out == f"{SECRET}\n"
    assert "profile" in done.err
    assert profile.account_for(None).api_key == SECRET


def test_a_change_is_laid_over_what_was(command: Command, gateway: FakeGateway) -> None:
    done = command("keys", "update", "app", "--limit", "requests-per-minute=none", "--expires", "never", "--name", "b")
    assert last(gateway) == people.UpdateApiKey(id="k-3", name="b", expires_at="", limits=Limits(tokens_per_day=7))
    assert done.out.startswith("name       app\n")
    command("keys", "update", "app", "--limit", "none", "--scope", "usage", "--model", "*")
    assert last(gateway) == people.UpdateApiKey(id="k-3", scopes=("usage",), models=("*",), limits=Limits())
    assert command("keys", "update", "app").code == 2


def test_a_rotated_key_is_shown_and_the_old_ones_end_is_said(command: Command, gateway: FakeGateway) -> None:
    done = command("keys", "rotate", "app", "--overlap", "2h")
    assert done.out == f"{SECRET}\n"
    assert last(gateway) == people.RotateApiKey(id="k-3", overlap_s=7200)
    assert "hi_cccccccc works until" in done.err
    assert profile.account_for(None).api_key == "hi_key"
    assert "works no longer" in command("keys", "rotate", "app", "--overlap", "0m").err


def test_a_key_that_the_profile_holds_is_followed_when_it_is_rotated_and_forgotten_when_revoked(
    command: Command, url: str
) -> None:
    profile.save(profile.Account(gateway=url, api_key="hi_cccccccc_and_its_secret"))
    assert "Your profile holds it" in command("keys", "rotate", "app").err
    assert profile.account_for(None).api_key == SECRET
    profile.save(profile.Account(gateway=url, api_key="hi_cccccccc_and_its_secret", token="jwt"))
    assert "asked in your session" in command("keys", "revoke", "app").err
    assert (profile.account_for(None).api_key, profile.account_for(None).token) == ("", "jwt")


@pytest.mark.parametrize("name", ["app", "hi_cccccccc", "k-3", "hi_cccccccc_and_its_secret"])
def test_a_key_is_revoked_by_what_people_call_it(command: Command, gateway: FakeGateway, name: str) -> None:
    done = command("keys", "revoke", name)
    assert (done.out, done.err) == ("hi_cccccccc (app) is revoked.\n", "")
    assert last(gateway) == people.OfKey(id="k-3")


@pytest.mark.parametrize(("name", "said"), [("ci", "Several"), ("old", "no such active key"), ("nope", "no such")])
@pytest.mark.parametrize("words", [("revoke",), ("rotate",), ("update", "--name", "b")], ids=lambda words: words[0])
def test_a_key_to_change_must_be_one(
    command: Command, gateway: FakeGateway, words: tuple[str, ...], name: str, said: str
) -> None:
    done = command("keys", words[0], name, *words[1:])
    assert done.code == 1
    assert said in done.err
    assert gateway.calls[-1][0] == "listApiKeys"
