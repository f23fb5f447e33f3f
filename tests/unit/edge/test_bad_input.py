"""Bad input of every kind gets the right status and a sentence that helps, in OpenAI's shape."""

import asyncio
import io
from typing import Any

import pytest

from hyperinfer.testing.gateway import FakeGateway, always

from .conftest import Client, Serve

CHAT = "/v1/chat/completions"
KEY = {"Authorization": "Bearer hi_key"}
JSON = {"Content-Type": "application/json"}


async def refused(reply: Any, status: int, *words: str) -> dict[str, Any]:
    body: dict[str, Any] = (await reply.json())["error"]
    assert reply.status == status, body
    assert set(body) == {"message", "type", "param", "code"}
    for word in words:
        assert word in body["message"]
    return body


@pytest.fixture
async def client(serve: Serve) -> Client:
    return await serve(FakeGateway(), max_body_bytes=100_000, hosts=("ai.example",), origins=("https://app.example",))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "not valid JSON"),
        (b"", "not valid JSON"),
        (b"\xff", "not valid JSON"),
        (b"[]", "The body must be an object"),
        (b'{"stream": "yes"}', "stream must be true or false"),
        (b'{"x":' + b"[" * 50_000, "nested too deeply"),
        (b'{"stream": true} {"more": 1}', "not valid JSON"),
    ],
)
async def test_a_body_that_is_no_request(client: Client, body: bytes, words: str) -> None:
    async with client.post(CHAT, data=body, headers=KEY) as reply:
        await refused(reply, 400, words)


@pytest.mark.parametrize("path", [CHAT, "/api/inference"])
@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Basic eDp5"}, {"Authorization": "Bearer "}, {"X-API-Key": ""}]
)
async def test_no_key(client: Client, path: str, headers: dict[str, str]) -> None:
    async with client.post(path, json={"prompt": "hi"}, headers=headers) as reply:
        body = await refused(reply, 401, "Authorization: Bearer")
        assert body["type"] == "authentication_error"
        assert reply.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("headers", [{"Authorization": "bearer k"}, {"X-API-Key": "k"}, {"x-api-key": " k "}])
async def test_a_key_may_come_in_either_header(serve: Serve, headers: dict[str, str]) -> None:
    gateway = FakeGateway()
    client = await serve(gateway)
    async with client.post(CHAT, json={}, headers=headers):
        pass
    assert [meta.key for _, _, meta in gateway.calls] == ["k"]


async def test_a_body_too_large_is_refused_by_its_length_without_reading_it(client: Client) -> None:
    async with client.post(CHAT, data=io.BytesIO(b"x" * 100_000_000), headers=KEY) as reply:
        await refused(reply, 413, "97 KiB")


async def test_a_body_too_large_is_refused_also_without_a_length(client: Client) -> None:
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        while sent < 100_000_000:
            sent += 50_000
            yield b"x" * 50_000

    async with client.post(CHAT, data=endless(), headers=KEY) as reply:
        await refused(reply, 413, "97 KiB")
    assert sent < 50_000_000


async def test_a_body_in_many_pieces_is_put_together(serve: Serve) -> None:
    gateway = FakeGateway()
    client = await serve(gateway)

    async def pieces() -> Any:
        for piece in (b'{"mo', b'del": ', b'"m"}'):
            yield piece
            await asyncio.sleep(0)

    async with client.post(CHAT, data=pieces(), headers=KEY):
        pass
    assert bytes(gateway.calls[0][1].body) == b'{"model": "m"}'


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "", "127.0.0.1.evil.example", "8.8.8.8", "[", "a b"]
)
async def test_a_foreign_host_is_refused(client: Client, host: str) -> None:
    async with client.post(CHAT, json={}, headers=KEY | {"Host": host}) as reply:
        await refused(reply, 403, "http.hosts")


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:1", "127.0.0.1:3000", "[::1]:3000", "AI.example", "ai.example:443"]
)
async def test_our_own_names_are_accepted(client: Client, host: str) -> None:
    async with client.get("/healthz", headers={"Host": host}) as reply:
        assert reply.status == 200


async def test_bound_to_a_wildcard_any_address_in_digits_is_a_host(serve: Serve) -> None:
    client = await serve(FakeGateway(), host="0.0.0.0")
    async with client.get("/healthz", headers={"Host": "192.0.2.1:3000"}) as reply:
        assert reply.status == 200
    async with client.get("/healthz", headers={"Host": "evil.example"}) as reply:
        assert reply.status == 403


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:1"])
async def test_a_foreign_origin_may_change_nothing(client: Client, origin: str) -> None:
    async with client.post("/api/auth/login", json={}, headers={"Origin": origin}) as reply:
        await refused(reply, 403, "http.origins")


async def test_our_own_pages_and_those_configured_may_send_requests(serve: Serve) -> None:
    client = await serve(FakeGateway(), origins=("https://app.example",))
    for headers in ({"Origin": "https://app.example"}, {"Origin": "http://localhost:7", "Host": "localhost:7"}):
        async with client.post("/api/auth/login", json={}, headers=headers) as reply:
            assert reply.status == 404  # the fake gateway knows no login: the guard has let it through


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", CHAT, "POST"),
        ("DELETE", "/v1/models", "GET"),
        ("GET", "/api/auth/login", "POST"),
        ("OPTIONS", CHAT, "POST"),
    ],
)
async def test_a_wrong_method(client: Client, method: str, path: str, allow: str) -> None:
    async with client.request(method, path, headers=KEY) as reply:
        await refused(reply, 405, method, allow)
        assert allow in reply.headers["allow"]


@pytest.mark.parametrize("path", ["/", "/v1/nothing", "/v1/chat/completions/", "/metrics/x"])
async def test_an_unknown_route(client: Client, path: str) -> None:
    async with client.get(path) as reply:
        await refused(reply, 404, "/v1")


async def test_a_fault_of_ours_shows_no_internals(serve: Serve) -> None:
    client = await serve(FakeGateway(processInferenceRequest=always(ZeroDivisionError("secret"))))
    async with client.post(CHAT, json={}, headers=KEY) as reply:
        body = await refused(reply, 500, "operator")
        assert "secret" not in str(body)


@pytest.mark.parametrize("given", ["x" * 129, "caf\u00e9"])
async def test_a_request_id_that_makes_no_sense_is_replaced(client: Client, given: str) -> None:
    async with client.get("/healthz", headers={"X-Request-Id": given}) as reply:
        assert reply.headers["x-request-id"].startswith("req_")
