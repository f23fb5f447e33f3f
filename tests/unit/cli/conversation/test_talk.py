"""A chat from a pipe: prompts, orders, the old words, and what is said of both."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.cli.conftest import Command

from hyperinfer.contracts import gateway as contract
from hyperinfer.contracts import people, usage
from hyperinfer.errors import Forbidden, Unauthenticated
from hyperinfer.protocol import api_keys
from hyperinfer.sdk import profile
from hyperinfer.testing.edge import served
from hyperinfer.testing.gateway import FakeGateway, always

AT = "2026-01-02T12:00:00Z"
ADA = people.Account(id="1", username="ada", email="ada@example.com", role="user", tier="premium", created_at=AT)
KEY = api_keys.mint()
NEW_KEY = people.NewApiKey(id="k", name="default", prefix=KEY.prefix, created_at=AT, key=KEY.text)


@pytest.fixture
def gateway(gateway: FakeGateway) -> FakeGateway:
    gateway.answers |= {
        "login": always(contract.LoginReply(success=True, status=200, key="a.jwt.x", expires_in=3600, account=ADA)),
        "register": always(contract.RegisterReply(success=True, status=201, message="", account=ADA, api_key=NEW_KEY)),
        "getAccount": always(ADA),
        "getUserQuota": always(
            usage.Quota(tier="premium", limits=(usage.QuotaRow("user", "requests_per_hour", 1000, 4, 996, AT),))
        ),
        "listModels": always(contract.PublicModels()),
    }
    return gateway


def prompts(gateway: FakeGateway) -> list[list[str]]:
    """What each request to a model held."""
    bodies: list[dict[str, Any]] = [
        json.loads(bytes(request.body)) for name, request, _ in gateway.calls if name == "processInferenceRequest"
    ]
    return [[message["content"] for message in body["messages"]] for body in bodies]


@pytest.mark.usefixtures("url")
def test_the_last_question_is_asked_again_without_its_answer(command: Command, gateway: FakeGateway) -> None:
    done = command("chat", stdin="/retry\none\ntwo\n/retry\n")
    assert done.code == 0
    assert "nothing to ask again" in done.err
    assert prompts(gateway) == [["one"], ["one", "four.", "two"], ["one", "four.", "two"]]


@pytest.mark.usefixtures("url")
def test_a_conversation_is_saved_and_gone_on_with(command: Command, gateway: FakeGateway, tmp_path: Path) -> None:
    file = tmp_path / "talk.json"
    done = command("chat", stdin=f"/save {file}\n/system Be brief.\nhi\n/save {file}\n/save {file}\n/save\n")
    assert "Nothing has been said" in done.err
    assert f"{file} is there already" in done.err
    assert "Say which file" in done.err
    command("chat", stdin=f"/load {file}\nand now?\n/load {tmp_path / 'none.json'}\n")
    assert prompts(gateway)[-1] == ["Be brief.", "hi", "four.", "and now?"]
    text = tmp_path / "talk.md"
    done = command("chat", stdin=f"hi\n/save {text}\n/load {text}\n")
    assert text.read_text() == "> hi\n\nfour.\n"
    assert "no conversation that was saved" in done.err


@pytest.mark.usefixtures("url")
def test_what_it_has_used_and_what_is_left(command: Command) -> None:
    done = command("chat", stdin="hi\nhi\n/usage\n")
    assert "2 answers, 6 tokens read and 4 written" in done.err
    assert "requests-per-hour: 4 of 1,000" in done.err


def test_old_words_log_in_and_say_who_one_is(command: Command, url: str, gateway: FakeGateway) -> None:
    profile.save(profile.Account(gateway=url))
    done = command("chat", stdin="hi\nlogin ada@example.com horse\nstatus\ngettoken\nhi\nhelp\nexit\nnever\n")
    assert "You are not logged in" in done.err
    assert "Logged in" in done.err
    assert "ada, ada@example.com (premium)" in done.err
    assert done.out == "a.jwt.x\nfour.\n"
    assert prompts(gateway) == [["hi"]]
    assert gateway.calls[-1][2].key == "a.jwt.x"
    assert profile.account_for(None).token == "a.jwt.x"
    assert "horse" not in done.out + done.err


@pytest.mark.usefixtures("url")
def test_registering_in_a_chat_begins_to_use_the_account(command: Command, gateway: FakeGateway) -> None:
    done = command("chat", stdin="register ada@example.com horse\nhi\n")
    assert "Registered" in done.err
    assert gateway.calls[-1][2].key == KEY.text


@pytest.mark.usefixtures("url")
def test_a_password_is_asked_for_where_the_word_stands_alone(command: Command, gateway: FakeGateway) -> None:
    assert "Logged in" in command("chat", stdin="login\nada\nhorse\n").err
    login = next(request for name, request, _ in gateway.calls if name == "login")
    assert (login.username, login.password) == ("ada", "horse")


@pytest.mark.usefixtures("url")
def test_a_token_is_taken_for_this_chat_alone_and_only_if_it_is_valid(command: Command, gateway: FakeGateway) -> None:
    done = command("chat", stdin=f"settoken nonsense\nsettoken {KEY.text}\nhi\n")
    assert "neither an API key" in done.err
    assert gateway.calls[-1][2].key == KEY.text
    assert profile.account_for(None).api_key == "hi_key"
    gateway.answers["listModels"] = always(Unauthenticated("This key is not valid."))
    command("chat", stdin=f"settoken {KEY.text}\nhi\n")
    assert gateway.calls[-1][2].key == "hi_key"


@pytest.mark.usefixtures("url")
def test_a_key_that_may_not_see_the_account_is_no_failure(command: Command, gateway: FakeGateway) -> None:
    gateway.answers["getAccount"] = always(Forbidden("This key lacks the scope account."))
    assert "whoever the key is of (premium)" in command("chat", stdin="/status\n").err


@pytest.mark.usefixtures("url")
def test_words_in_a_sentence_are_a_prompt(command: Command, gateway: FakeGateway) -> None:
    command("chat", stdin="login pages are hard\nstatus?\nhelp me\n/logout\nhi\n")
    assert prompts(gateway)[-1] == ["login pages are hard", "four.", "status?", "four.", "help me"]


def test_one_may_begin_without_an_account(command: Command, gateway: FakeGateway) -> None:
    with served(gateway) as url:
        done = command("chat", "--gateway", url, stdin="hi\nlogin ada@example.com horse\nhi\n")
    assert "You are not logged in" in done.err
    assert done.out == "four.\n"
