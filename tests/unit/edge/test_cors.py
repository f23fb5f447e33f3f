"""What pages of other sites may do, by what a browser is told and by what reaches the gateway."""

from typing import Any

import aiohttp
import pytest

from hyperinfer.edge import cookies
from hyperinfer.edge.cors import MAX_ASKED_BYTES, Pages
from hyperinfer.errors import ConfigError
from hyperinfer.kernel.settings import HttpSettings
from hyperinfer.testing.gateway import FakeGateway, always

from .conftest import Client, Serve
from .samples import KEY, gateway_of

CHAT = "/v1/chat/completions"
APP = "https://app.example"
OTHER = "https://evil.example"
ASKS = {"Access-Control-Request-Method": "POST"}
STAINLESS = "authorization,content-type,x-stainless-arch,x-stainless-retry-count,openai-organization,x-api-key"


async def asked(client: Client, origin: str | None, path: str = CHAT, **more: str) -> aiohttp.ClientResponse:
    headers = {**ASKS, **more} | ({"Origin": origin} if origin else {})
    async with client.options(path, headers=headers) as reply:
        await reply.read()
        return reply


@pytest.mark.parametrize("origins", [(APP,), (f"{APP.upper()}/", "http://localhost:5173")])
async def test_a_page_that_is_named_is_told_what_it_may(serve: Serve, origins: tuple[str, ...]) -> None:
    gateway = FakeGateway()
    client = await serve(gateway, origins=origins)
    reply = await asked(client, APP, **{"Access-Control-Request-Headers": STAINLESS})
    told = reply.headers
    assert reply.status == 204
    assert told["access-control-allow-origin"] == APP
    assert told["access-control-allow-headers"] == STAINLESS
    assert {"POST", "GET", "PATCH", "DELETE"} <= set(told["access-control-allow-methods"].split(", "))
    assert int(told["access-control-max-age"]) > 0
    assert "origin" in told.getall("vary")
    assert "access-control-allow-credentials" not in told
    assert gateway.calls == []


async def test_any_page_may_be_let_in_by_a_star(serve: Serve) -> None:
    client = await serve(FakeGateway(), origins=("*",))
    for origin in (OTHER, "null", "http://localhost:1"):
        reply = await asked(client, origin)
        assert (reply.status, reply.headers["access-control-allow-origin"]) == (204, "*")


@pytest.mark.parametrize("origins", [(), (APP,)])
@pytest.mark.parametrize("origin", [OTHER, "null", f"{APP}.evil.example", "http://app.example", None])
async def test_others_are_told_nothing(serve: Serve, origins: tuple[str, ...], origin: str | None) -> None:
    client = await serve(FakeGateway(), origins=origins)
    reply = await asked(client, origin)
    assert reply.status == 405
    assert [name for name in reply.headers if name.lower().startswith("access-control-")] == []


async def test_without_cors_an_answer_says_nothing_of_origins(serve: Serve) -> None:
    client = await serve(FakeGateway())
    async with client.get("/healthz", headers={"Origin": APP}) as reply:
        assert (reply.status, "vary" in reply.headers) == (200, False)


@pytest.mark.parametrize("names", ["a b", "x-a, ,x-b", "x\u00e9", "x-" + "a" * MAX_ASKED_BYTES, ""])
async def test_names_of_headers_that_make_no_sense_are_not_repeated(serve: Serve, names: str) -> None:
    client = await serve(FakeGateway(), origins=(APP,))
    reply = await asked(client, APP, **{"Access-Control-Request-Headers": names})
    assert (reply.status, "access-control-allow-headers" in reply.headers) == (204, False)


async def test_a_foreign_host_is_refused_before_a_page_is_told_anything(serve: Serve) -> None:
    client = await serve(FakeGateway(), origins=("*",))
    assert (await asked(client, OTHER, Host="evil.example")).status == 403


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [(CHAT, b"{", 400), (CHAT, b"x" * 200_000, 413), (CHAT, b"{}", 404), ("/v1/nothing", b"", 404)],
)
async def test_refusals_can_be_read_by_the_page(serve: Serve, path: str, body: bytes, status: int) -> None:
    client = await serve(FakeGateway(), origins=(APP,), max_body_bytes=100_000)
    async with client.post(path, data=body, headers=KEY | {"Origin": APP}) as reply:
        assert reply.status == status
        assert reply.headers["access-control-allow-origin"] == APP
        assert reply.headers["access-control-expose-headers"] == "*"


async def test_an_answer_to_nobody_in_particular_names_no_page(serve: Serve) -> None:
    client = await serve(gateway_of(), origins=(APP,))
    async with client.get("/v1/models", headers=KEY) as reply:
        assert "access-control-allow-origin" not in reply.headers
        assert reply.headers["vary"] == "origin"


@pytest.mark.parametrize("origins", [(), (APP,), ("*",)])
async def test_no_cookie_crosses_to_another_site(serve: Serve, origins: tuple[str, ...]) -> None:
    token = "eyJ.a.token"
    client = await serve(gateway_of(), origins=origins)
    session: dict[str, Any] = {"Cookie": f"hi_session={token}", "X-CSRF-Token": cookies.csrf_token(token)}
    for origin in (APP, OTHER):
        async with client.get("/api/me", headers=session | {"Origin": origin}) as reply:
            assert reply.status == 401


async def test_no_cookie_is_given_to_another_site(serve: Serve) -> None:
    client = await serve(gateway_of(), origins=(APP,))
    body = {"username": "ada", "password": "correct horse", "cookie": True}
    async with client.post("/api/auth/login", json=body, headers={"Origin": APP}) as reply:
        assert (reply.status, "set-cookie" in reply.headers) == (200, False)
    async with client.post("/api/auth/login", json=body, headers={"Sec-Fetch-Site": "same-origin"}) as reply:
        assert (reply.status, "set-cookie" in reply.headers) == (200, True)


async def test_our_own_page_is_no_other_site(serve: Serve) -> None:
    client = await serve(FakeGateway(getAccount=always(gateway_of().answers["getAccount"])))
    token = "eyJ.a.token"
    headers = {"Cookie": f"hi_session={token}", "Host": "localhost:7"}
    for origin in ("http://localhost:7", "https://LOCALHOST:7"):
        async with client.get("/api/me", headers=headers | {"Origin": origin}) as reply:
            assert reply.status != 401


@pytest.mark.parametrize("origin", ["app.example", "https://", "https://app.example/path", "https://a b", "null", ""])
def test_what_is_no_origin_is_refused_at_the_start(origin: str) -> None:
    with pytest.raises(ConfigError, match=r"http\.origins"):
        Pages((origin,))


@pytest.mark.parametrize("origin", ["tauri://localhost", "chrome-extension://abcdef", "http://[::1]:3000", "*"])
def test_every_kind_of_origin_is_one(origin: str) -> None:
    assert Pages(HttpSettings(origins=(origin,)).origins).admit(origin if origin != "*" else OTHER)
