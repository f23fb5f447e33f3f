"""Registering, logging in and out, and looking after the account and its sessions: what is kept, and what is said."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from hyperinfer.contracts import gateway as contract
from hyperinfer.contracts import people
from hyperinfer.contracts.method import Nothing
from hyperinfer.errors import Forbidden, RateLimited, Unauthenticated, Unavailable
from hyperinfer.protocol import api_keys
from hyperinfer.sdk import profile
from hyperinfer.testing.edge import served
from hyperinfer.testing.gateway import FakeGateway, always

from .conftest import Command, Done

AT = "2026-01-02T12:00:00Z"
PASSWORD = "correct horse battery"
ADA = people.Account(id="1", username="ada", email="ada@example.com", role="user", tier="default", created_at=AT)
KEY = api_keys.mint()
NEW_KEY = people.NewApiKey(id="k", name="default", prefix=KEY.prefix, created_at=AT, key=KEY.text)
LISTED = people.ApiKeys(keys=(people.ApiKey(id="k", name="default", prefix=KEY.prefix, created_at=AT),))
REGISTERED = contract.RegisterReply(success=True, status=201, message="", account=ADA, api_key=NEW_KEY)
LOGGED_IN = contract.LoginReply(success=True, status=200, key="jwt", expires_in=3600, account=ADA)


def refused(code: str, message: str, **more: Any) -> contract.LoginReply:
    return contract.LoginReply(success=False, status=400, message=message, code=code, **more)


@pytest.fixture
def gateway(gateway: FakeGateway) -> FakeGateway:
    gateway.answers |= {
        "register": always(REGISTERED),
        "login": always(LOGGED_IN),
        "listApiKeys": always(LISTED),
        "getAccount": always(ADA),
        "logout": always(Nothing()),
    }
    return gateway


def in_session(url: str, *, api_key: str = "", began: datetime | None = None, lasts_s: int = 3600) -> profile.Account:
    """A profile with a session at a gateway."""
    began = began or datetime.now(UTC)
    account = profile.Account(
        gateway=url,
        username="ada",
        api_key=api_key,
        token="jwt",
        token_began=began,
        token_ends=began + timedelta(seconds=lasts_s),
    )
    profile.save(account)
    return account


# --- register ------------------------------------------------------------------------------------------------


def test_registering_keeps_the_first_key_and_a_session(command: Command, url: str, gateway: FakeGateway) -> None:
    done = command("register", "ada@example.com", "--username", "ada", "--code", "hc_code", stdin=f"{PASSWORD}\n")
    assert (done.code, done.out) == (0, f"Registered at {url} as ada, and logged in.\n")
    assert KEY.text not in done.out + done.err
    (_, asked, meta), (_, login, _) = gateway.calls
    assert asked == contract.Register(email="ada@example.com", password=PASSWORD, username="ada", code="hc_code")
    assert meta.key is None
    assert (login.username, login.password) == ("ada", PASSWORD)
    account = profile.account_for(None)
    assert (account.username, account.api_key, account.token) == ("ada", KEY.text, "jwt")


@pytest.mark.usefixtures("url")
def test_a_script_that_registers_is_shown_the_key_this_once(command: Command) -> None:
    made = json.loads(command("register", "ada@example.com", "--json", stdin=f"{PASSWORD}\n").out)
    assert made["api_key"]["key"] == KEY.text


@pytest.mark.usefixtures("url")
def test_a_registration_that_is_refused_says_why_and_changes_nothing(command: Command, gateway: FakeGateway) -> None:
    message = "Registering here takes an invitation; ask an administrator for one."
    gateway.answers["register"] = always(
        contract.RegisterReply(success=False, status=403, message=message, code="FORBIDDEN")
    )
    done = command("register", "ada@example.com", stdin=f"{PASSWORD}\n")
    assert (done.code, done.err) == (1, f"{message}\n")
    assert profile.account_for(None).api_key == "hi_key"


@pytest.mark.usefixtures("url")
def test_the_key_is_kept_even_if_logging_in_fails(command: Command, gateway: FakeGateway) -> None:
    gateway.answers["login"] = always(refused("UNAVAILABLE", "Accounts cannot be reached now."))
    assert command("register", "ada@example.com", stdin=f"{PASSWORD}\n").code == 1
    assert profile.account_for(None).api_key == KEY.text


@pytest.mark.parametrize("words", [("register", "a@example.com"), ("login", "ada"), ("login", "--key"), ("reset",)])
def test_a_secret_that_is_not_given_is_asked_for_by_name(command: Command, words: tuple[str, ...]) -> None:
    done = command(*words)
    assert done.code == 1
    assert "standard input holds no line for it" in done.err


# --- log in --------------------------------------------------------------------------------------------------


def test_logging_in_keeps_the_session_in_a_file_of_ones_own(command: Command, gateway: FakeGateway, home: Path) -> None:
    with served(gateway) as url:
        done = command("login", "--gateway", url, "ada", stdin=f"{PASSWORD}\n")
        assert (done.code, done.out, done.err) == (0, f"Logged in to {url} as ada.\n", "")
        [(_, request, meta)] = gateway.calls
        assert (request.username, request.password, meta.key) == ("ada", PASSWORD, None)
        assert command("ask", "hi").out == "four.\n"
        assert gateway.calls[-1][2].key == "jwt"
    file = home / "xdg" / "hyperinfer" / "profile.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert PASSWORD not in file.read_text()


def test_logging_in_keeps_the_key_that_is_there_and_drops_one_that_is_dead(
    command: Command, url: str, gateway: FakeGateway
) -> None:
    profile.save(profile.Account(gateway=url, username="ada", api_key=KEY.text))
    assert command("login", "ada", stdin="x\n").err == ""
    assert profile.account_for(None).api_key == KEY.text
    gateway.answers["listApiKeys"] = always(people.ApiKeys())
    done = command("login", "ada", stdin="x\n")
    assert (done.code, profile.account_for(None).api_key) == (0, "")
    assert "works no longer" in done.err


def test_a_wrong_password_is_said_and_nothing_is_kept(command: Command, gateway: FakeGateway) -> None:
    gateway.answers["login"] = always(refused("UNAUTHENTICATED", "Wrong."))
    with served(gateway) as url:
        done = command("login", "--gateway", url, "ada", stdin="x\n")
    assert (done.code, done.out, done.err) == (1, "", "Wrong.\n")
    assert profile.load().accounts == ()


@pytest.mark.usefixtures("url")
def test_too_many_tries_say_how_long_to_wait(command: Command, gateway: FakeGateway) -> None:
    gateway.answers["login"] = always(refused("RATE_LIMITED", "Too many tries; wait.", retry_after=17))
    assert command("login", "ada", stdin="x\n").err == "Too many tries; wait. Try again in 17 s.\n"
    limited = RateLimited("You have used your 5 requests a minute. Try again in 9 s.", retry_after_s=9)
    gateway.answers["processInferenceRequest"] = always(limited)
    assert command("ask", "hi").err.count("Try again in") == 1


def test_a_password_on_the_way_in_the_clear_is_warned_of(command: Command) -> None:
    for words in (("login", "ada"), ("register", "a@example.com")):
        done = command(words[0], "--gateway", "http://ai.invalid:1", words[1], stdin="x\n")
        assert done.code == 1
        assert "not encrypted" in done.err


@pytest.mark.usefixtures("url")
@pytest.mark.parametrize("words", [("login",), ("login", "--key", "ada")])
def test_logging_in_without_a_name_or_with_one_too_many_is_a_wrong_use(
    command: Command, words: tuple[str, ...]
) -> None:
    assert command(*words).code == 2


def test_an_api_key_suffices_where_there_is_no_person(command: Command, url: str, gateway: FakeGateway) -> None:
    gateway.answers["listModels"] = always(contract.PublicModels())
    done = command("login", "--key", "--gateway", url, stdin=f"{KEY.text}\n")
    assert done.out == f"The API key {KEY.prefix} is kept for {url}.\n"
    assert command("ask", "hi").out == "four.\n"
    assert gateway.calls[-1][2].key == KEY.text


@pytest.mark.parametrize(
    ("text", "answer", "said"),
    [
        ("hi_half", contract.PublicModels(), "This is no API key"),
        (KEY.text, Unauthenticated("This API key has been revoked."), "This API key has been revoked.\n"),
        (KEY.text, Unavailable("No.", retry_after_s=60), "No."),
    ],
    ids=["no key", "revoked", "not known now"],
)
def test_an_api_key_that_is_none_is_not_kept(
    command: Command, url: str, gateway: FakeGateway, text: str, answer: Any, said: str
) -> None:
    gateway.answers["listModels"] = always(answer)
    done = command("login", "--key", "--gateway", url, stdin=f"{text}\n")
    assert done.code == 1
    assert said in done.err
    assert profile.account_for(None).api_key == "hi_key"


# --- which credential ----------------------------------------------------------------------------------------


def test_models_are_asked_with_the_key_and_the_account_is_shown_in_the_session(
    command: Command, url: str, gateway: FakeGateway
) -> None:
    in_session(url, api_key="hi_key")
    command("ask", "hi")
    command("account")
    assert [(method, meta.key) for method, _, meta in gateway.calls] == [
        ("processInferenceRequest", "hi_key"),
        ("getAccount", "jwt"),
    ]


@pytest.mark.usefixtures("url")
@pytest.mark.parametrize(
    "words",
    [("sessions", "list"), ("sessions", "end", "--all"), ("password",), ("account", "delete"), ("account", "export")],
)
def test_what_takes_a_session_says_so_before_it_asks_anything(
    command: Command, gateway: FakeGateway, words: tuple[str, ...]
) -> None:
    done = command(*words)
    assert (done.code, done.out) == (1, "")
    assert "This takes a session, not an API key. Log in first: `hyperinfer login --gateway" in done.err
    assert gateway.calls == []


@pytest.mark.usefixtures("url")
def test_a_key_that_may_not_do_it_says_what_may(command: Command, gateway: FakeGateway) -> None:
    gateway.answers["getAccount"] = always(Forbidden("This API key may not do that: it lacks the scope 'account'."))
    done = command("account")
    assert "lacks the scope 'account'" in done.err
    assert "in a session you may" in done.err


@pytest.mark.parametrize("words", [("account",), ("sessions", "list"), ("keys", "list"), ("usage",)])
def test_a_session_that_has_ended_says_what_to_run(
    command: Command, url: str, gateway: FakeGateway, words: tuple[str, ...]
) -> None:
    in_session(url, api_key="hi_key", began=datetime.now(UTC) - timedelta(hours=2))
    done = command(*words)
    assert done.code == 1
    assert done.err == f"Your session at {url} has ended. Log in again: `hyperinfer login --gateway {url} ada`.\n"
    assert gateway.calls == []


def test_a_session_is_renewed_in_silence_in_the_second_half_of_its_life(
    command: Command, url: str, gateway: FakeGateway
) -> None:
    renewed = people.Session(access_token="jwt2", expires_in_s=3600, account=ADA)
    gateway.answers["refreshSession"] = always(renewed)
    in_session(url, began=datetime.now(UTC) - timedelta(minutes=29))
    command("account")
    assert [method for method, _, _ in gateway.calls] == ["getAccount"]
    in_session(url, began=datetime.now(UTC) - timedelta(minutes=31))
    done = command("account")
    assert (done.code, done.err) == (0, "")
    assert [(method, meta.key) for method, _, meta in gateway.calls[1:]] == [
        ("refreshSession", "jwt"),
        ("getAccount", "jwt2"),
    ]
    account = profile.account_for(None)
    assert account.token == "jwt2"
    assert account.token_ends is not None
    assert account.token_ends > datetime.now(UTC) + timedelta(minutes=59)
    assert command("ask", "hi").out == "four.\n"
    assert gateway.calls[-1][2].key == "jwt2"


def test_a_session_that_cannot_be_renewed_now_is_used_as_it_is(
    command: Command, url: str, gateway: FakeGateway
) -> None:
    gateway.answers["refreshSession"] = always(Unavailable("Accounts cannot be reached now."))
    in_session(url, began=datetime.now(UTC) - timedelta(minutes=31))
    assert command("ask", "hi").out == "four.\n"
    assert gateway.calls[-1][2].key == "jwt"
    assert profile.account_for(None).token == "jwt"


# --- log out -------------------------------------------------------------------------------------------------


def test_logging_out_ends_the_session_there_and_here(command: Command, url: str, gateway: FakeGateway) -> None:
    in_session(url, api_key="hi_key")
    done = command("logout")
    assert (done.code, done.out) == (0, f"Logged out of {url}.\n")
    assert "--all` forgets it" in done.err
    assert [(method, meta.key) for method, _, meta in gateway.calls] == [("logout", "jwt")]
    account = profile.account_for(None)
    assert (account.token, account.token_ends, account.api_key) == ("", None, "hi_key")


def test_logging_out_does_not_make_anybody_act_as_another(command: Command, url: str, gateway: FakeGateway) -> None:
    profile.save(profile.Account(gateway=url, username="admin", api_key="hi_admin"))
    in_session(url, api_key="hi_key")
    assert command("logout", "--all").code == 0
    done = command("ask", "hi")
    assert (done.code, done.out) == (1, "")
    assert f"You are not logged in at {url}. Log in first: `hyperinfer login --gateway {url} ada`." in done.err
    assert [method for method, _, _ in gateway.calls] == ["logout"]


@pytest.mark.parametrize(
    ("answer", "said"), [(Unauthenticated("It has ended."), ""), (Unavailable("Nobody there."), "Nobody there.")]
)
def test_a_session_that_cannot_be_ended_there_is_forgotten_here(
    command: Command, url: str, gateway: FakeGateway, answer: Exception, said: str
) -> None:
    gateway.answers["logout"] = always(answer)
    in_session(url)
    done = command("logout")
    assert done.code == 0
    assert said in done.err
    assert profile.account_for(None).token == ""


@pytest.mark.usefixtures("url")
def test_who_is_not_logged_in_cannot_log_out(command: Command) -> None:
    done = command("logout")
    assert done.code == 1
    assert "You are not logged in" in done.err
    assert command("logout", "--all").code == 0
    assert profile.account_for(None).api_key == ""


# --- the account ---------------------------------------------------------------------------------------------


def test_an_account_is_shown_for_people_and_programs(command: Command, url: str) -> None:
    in_session(url)
    assert command("account").out.splitlines()[:3] == [
        f"gateway      {url}",
        "user         ada",
        "e-mail       ada@example.com",
    ]
    assert json.loads(command("account", "show", "--json").out)["email"] == "ada@example.com"


def test_a_new_name_is_taken_up_in_the_profile_and_a_new_email_takes_the_password(
    command: Command, url: str, gateway: FakeGateway
) -> None:
    in_session(url)
    renamed = people.Account(
        id="1", username="lovelace", email="l@example.com", role="user", tier="default", created_at=AT
    )
    gateway.answers["updateAccount"] = always(renamed)
    done = command("account", "update", "--username", "lovelace", "--email", "l@example.com", stdin="horse\n")
    assert done.out == "You are lovelace, l@example.com.\n"
    assert gateway.calls[-1][1] == people.UpdateAccount(username="lovelace", email="l@example.com", password="horse")
    assert profile.account_for(None).username == "lovelace"
    assert command("account", "update").code == 2


def test_a_password_is_changed_by_who_knows_the_old_one(command: Command, url: str, gateway: FakeGateway) -> None:
    in_session(url)
    gateway.answers["changePassword"] = always(Nothing())
    done = command("password", stdin="old horse\nnew horse\n")
    assert done.code == 0
    assert gateway.calls[-1][1] == people.ChangePassword(current="old horse", new="new horse")
    gateway.answers["changePassword"] = always(Forbidden("This is not your current password.", param="password"))
    assert command("password", stdin="a\nb\n").err == "This is not your current password.\n"


def test_a_password_is_reset_by_a_token(command: Command, url: str, gateway: FakeGateway) -> None:
    gateway.answers["resetPassword"] = always(Nothing())
    done = command("reset", stdin="hr_token\nnew horse\n")
    assert (done.code, done.out) == (0, "Your password is set.\n")
    assert f"hyperinfer login --gateway {url}" in done.err
    [(_, request, meta)] = gateway.calls
    assert (request, meta.key) == (people.ResetPassword(token="hr_token", password="new horse"), None)


def test_all_that_is_kept_is_written_to_a_file_or_to_the_output(
    command: Command, url: str, gateway: FakeGateway, tmp_path: Path
) -> None:
    in_session(url)
    gateway.answers["exportAccount"] = always(people.Export(document=b'{"account":"ada"}'))  # type: ignore[arg-type]
    assert command("account", "export").out == '{"account":"ada"}\n'
    file = tmp_path / "me.json"
    done = command("account", "export", str(file))
    assert (done.out, file.read_text()) == ("", '{"account":"ada"}\n')
    assert "is there already" in command("account", "export", str(file)).err


def test_an_account_is_deleted_by_its_name_and_password(command: Command, url: str, gateway: FakeGateway) -> None:
    in_session(url, api_key="hi_key")
    gateway.answers["deleteAccount"] = always(Nothing())
    wrong = command("account", "delete", stdin="bob\nhorse\n")
    assert wrong.code == 1
    assert "nothing is deleted" in wrong.err
    assert gateway.calls == []
    done = command("account", "delete", stdin="ada\nhorse\n")
    assert (done.code, done.out) == (0, f"The account ada at {url} is deleted.\n")
    assert gateway.calls[-1][1] == people.WithPassword(password="horse")
    account = profile.account_for(None)
    assert (account.username, account.api_key, account.token) == ("", "", "")


# --- sessions ------------------------------------------------------------------------------------------------

SESSIONS = people.OpenSessions(
    sessions=(
        people.OpenSession(
            id="aaaa" * 8, created_at=AT, expires_at=AT, agent="hyperinfer/1", remote="::1", current=True
        ),
        people.OpenSession(id="bbbb" * 8, created_at=AT, expires_at=AT, agent="Mozilla/5.0 (X11; Linux x86_64) a"),
        people.OpenSession(id="bbcc" * 8, created_at=AT, expires_at=AT),
    )
)


@pytest.fixture
def run(command: Command, url: str, gateway: FakeGateway) -> Callable[..., Done]:
    in_session(url)
    gateway.answers |= {"listSessions": always(SESSIONS), "endSessions": always(SESSIONS)}
    return command


def test_sessions_are_listed_within_the_width_of_a_terminal(run: Command) -> None:
    lines = run("sessions", "list").out.splitlines()
    assert [line.split()[0] for line in lines] == ["ID", "aaaaaaaa*", "bbbbbbbb", "bbccbbcc"]
    assert max(len(line) for line in lines) <= 80
    assert json.loads(run("sessions", "list", "--json").out)[1]["agent"].startswith("Mozilla")


@pytest.mark.parametrize(
    ("words", "request_"),
    [(("bbbb",), people.EndSessions(id="bbbb" * 8)), (("--all",), people.EndSessions())],
)
def test_sessions_are_ended(
    run: Command, gateway: FakeGateway, words: tuple[str, ...], request_: people.EndSessions
) -> None:
    assert run("sessions", "end", *words).out == "Ended. 3 sessions last.\n"
    assert gateway.calls[-1][1] == request_


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("bb",), 1, "Several"),
        (("cc",), 1, "no such session"),
        (("aaaa*",), 1, "hyperinfer logout"),
        ((), 2, "Give the ID"),
        (("bbbb", "--all"), 2, "Give the ID"),
    ],
)
def test_a_session_to_end_must_be_one_and_another(
    run: Command, gateway: FakeGateway, words: tuple[str, ...], code: int, said: str
) -> None:
    done = run("sessions", "end", *words)
    assert done.code == code
    assert said in done.err
    assert "endSessions" not in [method for method, _, _ in gateway.calls]


# --- beside `up` ---------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("home")
def test_a_start_of_up_keeps_the_administrators_session_unless_the_account_is_a_new_one(tmp_path: Path) -> None:
    from hyperinfer.cli.own_key import Own, keep

    keep(Own("admin", password="new", key="hi_1"), tmp_path, "http://127.0.0.1:3000")
    account = profile.account_for(None)
    profile.save(replace(account, token="jwt"))
    keep(Own("admin", key="hi_2"), tmp_path, "http://127.0.0.1:3001")
    account = profile.account_for(None)
    assert (account.gateway, account.api_key, account.token) == ("http://127.0.0.1:3001", "hi_2", "jwt")
    keep(Own("admin", password="new", key="hi_3"), tmp_path, "http://127.0.0.1:3001")
    assert profile.load().accounts == (replace(account, api_key="hi_3", token=""),)
