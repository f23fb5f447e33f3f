"""Registering, logging in and out over HTTP, with tokens and with cookies."""

from http.cookies import SimpleCookie
from typing import Any

import pytest

from hyperinfer.contracts import gateway as contract
from hyperinfer.contracts.people import EndSessions, WithPassword
from hyperinfer.edge import cookies

from .conftest import Serve
from .samples import ACCOUNT, KEY, REPLIES, gateway_of

LOGIN = {"username": "ada", "password": "correct horse"}
COOKIE = {"Cookie": "hi_session=eyJ.a.token"}
SAME_SITE = {"Sec-Fetch-Site": "same-origin", "X-CSRF-Token": cookies.csrf_token("eyJ.a.token")}


async def test_registering_answers_the_account_and_its_first_key(serve: Serve) -> None:
    gateway = gateway_of()
    client = await serve(gateway)
    given = {"username": "ada", "email": "ada@example.com", "password": "correct horse", "code": "c"}
    async with client.post("/api/auth/register", json=given) as answer:
        assert answer.status == 201
        body = await answer.json()
    assert (body["username"], body["limits"]["requests_per_minute"]) == ("ada", 10)
    assert body["api_key"]["key"] == "hi_abc_secret"
    assert gateway.calls[0][1] == contract.Register(**given)


@pytest.mark.parametrize(("status", "code"), [(409, "CONFLICT"), (400, "BAD_REQUEST"), (403, "FORBIDDEN")])
async def test_a_refused_registration_has_the_status_of_its_reason(serve: Serve, status: int, code: str) -> None:
    refusal = contract.RegisterReply(success=False, status=status, message="Because.", code=code)
    client = await serve(gateway_of(register=refusal))
    async with client.post("/api/auth/register", json={"email": "a@b.c", "password": "x"}) as answer:
        assert answer.status == status
        assert (await answer.json())["error"]["message"] == "Because."


@pytest.mark.parametrize(
    ("body", "param"),
    [({}, "email"), ({"email": "a@b.c"}, "password"), ({"email": "a" * 201, "password": "x"}, "email")],
)
async def test_a_field_that_is_missing_or_too_long_is_named(serve: Serve, body: dict[str, Any], param: str) -> None:
    client = await serve(gateway_of())
    async with client.post("/api/auth/register", json=body) as answer:
        assert answer.status == 400
        error = (await answer.json())["error"]
        assert error["param"] == param
        assert param in error["message"]


async def test_logging_in_answers_a_bearer_token_and_no_cookie(serve: Serve) -> None:
    gateway = gateway_of()
    client = await serve(gateway)
    agent = "curl/8" + "\u00e9" + "x" * 300
    async with client.post("/api/auth/login", json=LOGIN, headers={"User-Agent": agent}) as answer:
        assert answer.status == 200
        body = await answer.json()
        assert "set-cookie" not in answer.headers
    assert (body["access_token"], body["token_type"], body["expires_in"]) == ("eyJ.a.token", "bearer", 60)
    assert body["user"]["id"] == ACCOUNT.id
    assert gateway.calls[0][1] == contract.Login(**LOGIN, agent=("curl/8" + "x" * 300)[:200])


async def test_a_wrong_password_is_401_and_too_many_say_when_to_come_again(serve: Serve) -> None:
    wrong = contract.LoginReply(success=False, status=401, message="Wrong.", code="UNAUTHENTICATED")
    client = await serve(gateway_of(login=wrong))
    async with client.post("/api/auth/login", json=LOGIN) as answer:
        assert answer.status == 401
    often = contract.LoginReply(success=False, status=429, message="Often.", code="RATE_LIMITED", retry_after=9)
    client = await serve(gateway_of(login=often))
    async with client.post("/api/auth/login", json=LOGIN) as answer:
        assert answer.status == 429
        assert answer.headers["retry-after"] == "9"
    async with client.post("/api/auth/login", json={"password": "x"}) as answer:
        assert answer.status == 400


def cookie_of(answer: Any) -> Any:
    [line] = answer.headers.getall("set-cookie")
    return SimpleCookie(line)["hi_session"]


async def test_logging_in_for_a_cookie_shows_the_token_to_no_script(serve: Serve) -> None:
    client = await serve(gateway_of())
    async with client.post("/api/auth/login", json=LOGIN | {"cookie": True}) as answer:
        text = await answer.text()
        body = await answer.json()
        cookie = cookie_of(answer)
    assert "eyJ.a.token" not in text
    assert set(body) == {"csrf_token", "user", "expires_in"}
    assert body["csrf_token"] == cookies.csrf_token("eyJ.a.token") != "eyJ.a.token"
    assert cookie.value == "eyJ.a.token"
    assert (cookie["path"], cookie["max-age"], cookie["samesite"]) == ("/api", "60", "Strict")
    assert cookie["httponly"]
    assert not cookie["secure"]


@pytest.mark.parametrize(
    ("settings", "headers"),
    [
        ({"secure_cookies": True}, {}),
        ({"hosts": ("ai.example",)}, {"Host": "ai.example", "Origin": "https://ai.example"}),
    ],
)
async def test_over_https_the_cookie_stays_there(
    serve: Serve, settings: dict[str, Any], headers: dict[str, str]
) -> None:
    client = await serve(gateway_of(), **settings)
    async with client.post("/api/auth/login", json=LOGIN | {"cookie": True}, headers=headers) as answer:
        assert cookie_of(answer)["secure"]


@pytest.mark.parametrize(
    ("site", "status"), [("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)]
)
async def test_a_page_of_another_site_logs_nobody_in(serve: Serve, site: str, status: int) -> None:
    client = await serve(gateway_of())
    async with client.post("/api/auth/login", json=LOGIN, headers={"Sec-Fetch-Site": site}) as answer:
        assert answer.status == status


@pytest.mark.parametrize("token", ["", "a; Path=/", "a\r\nSet-Cookie: x=y", "a b"])
async def test_a_token_that_no_cookie_can_hold_is_put_in_none(serve: Serve, token: str) -> None:
    reply = contract.LoginReply(success=True, status=200, key=token, expires_in=60, account=ACCOUNT)
    client = await serve(gateway_of(login=reply))
    async with client.post("/api/auth/login", json=LOGIN | {"cookie": True}) as answer:
        assert answer.status == 502
        assert "set-cookie" not in answer.headers


async def test_refreshing_puts_the_new_token_where_the_old_one_was(serve: Serve) -> None:
    client = await serve(gateway_of())
    async with client.post("/api/auth/refresh", headers=COOKIE | SAME_SITE) as answer:
        assert cookie_of(answer).value == "eyJ.new.token"
        assert (await answer.json())["csrf_token"] == cookies.csrf_token("eyJ.new.token")
        assert "eyJ" not in await answer.text()
    async with client.post("/api/auth/refresh", headers=KEY) as answer:
        assert (await answer.json())["access_token"] == "eyJ.new.token"
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(("verb", "path"), [("POST", "/api/auth/logout"), ("DELETE", "/api/me")])
async def test_the_end_of_a_session_takes_its_cookie_away(serve: Serve, verb: str, path: str) -> None:
    client = await serve(gateway_of())
    async with client.request(verb, path, json={"password": "x"}, headers=COOKIE | SAME_SITE) as answer:
        assert answer.status == 204
        assert cookie_of(answer)["max-age"] == "0"
    async with client.request(verb, path, json={"password": "x"}, headers=KEY) as answer:
        assert answer.status == 204
        assert "set-cookie" not in answer.headers


async def test_the_csrf_token_is_told_again_while_the_session_is_valid(serve: Serve) -> None:
    client = await serve(gateway_of())
    async with client.get("/api/auth/csrf", headers=COOKIE) as answer:
        assert await answer.json() == {"csrf_token": cookies.csrf_token("eyJ.a.token")}
    client = await serve(gateway_of(verifySession=contract.VerifySessionReply(valid=False, message="Over.")))
    async with client.get("/api/auth/csrf", headers=COOKIE) as answer:
        assert answer.status == 401
        assert cookie_of(answer)["max-age"] == "0"


@pytest.mark.parametrize(
    "value",
    ["hi_session=", "hi_session=a; hi_session=b", 'hi_session="x y"', "hi_session=%00", "hi_session=" + "x" * 8001],
)
async def test_a_cookie_that_is_no_token_never_gets_further(serve: Serve, value: str) -> None:
    gateway = gateway_of()
    client = await serve(gateway)
    async with client.get("/api/me", headers={"Cookie": value}) as answer:
        assert answer.status == 401
        assert cookie_of(answer)["max-age"] == "0"
    assert gateway.calls == []


async def test_a_key_in_a_header_comes_before_the_cookie_and_needs_no_csrf_token(serve: Serve) -> None:
    gateway = gateway_of()
    client = await serve(gateway)
    async with client.post("/api/auth/api-keys", headers=COOKIE | KEY) as answer:
        assert answer.status == 201
    assert [meta.key for _, _, meta in gateway.calls] == ["hi_key"]


async def test_other_cookies_are_nobodys_session(serve: Serve) -> None:
    client = await serve(gateway_of())
    async with client.get("/api/me", headers={"Cookie": "theme=dark; xhi_session=eyJ.a.token"}) as answer:
        assert answer.status == 401
        assert "set-cookie" not in answer.headers


async def test_a_stale_cookie_keeps_nobody_from_logging_in(serve: Serve) -> None:
    client = await serve(gateway_of())
    async with client.post("/api/auth/login", json=LOGIN, headers={"Cookie": "hi_session=old"}) as answer:
        assert answer.status == 200


async def test_sessions_are_ended_by_id_or_all_but_this_one(serve: Serve) -> None:
    gateway = gateway_of()
    client = await serve(gateway)
    for path, wanted in (("/api/auth/sessions/s1", EndSessions(id="s1")), ("/api/auth/sessions", EndSessions())):
        async with client.delete(path, json={"id": "s9"}, headers=KEY) as answer:
            assert (await answer.json())["data"][0]["id"] == "s1"
        assert gateway.calls.pop()[1] == wanted


async def test_deleting_an_account_takes_the_password(serve: Serve) -> None:
    gateway = gateway_of()
    client = await serve(gateway)
    async with client.delete("/api/me", headers=KEY) as answer:
        assert answer.status == 400
    async with client.delete("/api/me", json={"password": "x"}, headers=KEY) as answer:
        assert answer.status == 204
    assert [request for _, request, _ in gateway.calls] == [WithPassword(password="x")]


def test_every_method_has_a_sample() -> None:
    assert set(gateway_of().answers) == {*REPLIES, "watchSystem"}
