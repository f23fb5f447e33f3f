"""Bad input of every kind gets the right status and a sentence that helps, in OpenAI's shape."""

import asyncio
import io
from typing import Any

import aiohttp
import pytest
from yarl import URL

from hyperinfer.edge import bodies
from hyperinfer.edge.app import create_app
from hyperinfer.edge.dialects.openai.passed_on import KINDS
from hyperinfer.facilities.http import Listen, serving
from hyperinfer.kernel.settings import HttpSettings
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
@pytest.mark.parametrize("path", KINDS)
async def test_a_body_that_is_no_request(client: Client, path: str, body: bytes, words: str) -> None:
    async with client.post(path, data=body, headers=KEY) as reply:
        await refused(reply, 400, words)


@pytest.mark.parametrize("path", [*KINDS, "/api/inference"])
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


async def test_a_body_not_much_too_large_is_let_come_so_that_its_sender_reads_the_refusal(client: Client) -> None:
    async with client.post(CHAT, data=b"x" * 400_000, headers=KEY) as reply:
        await refused(reply, 413, "97 KiB")
        assert "connection" not in reply.headers
    assert client._base_url is not None
    reader, writer = await asyncio.open_connection(client._base_url.host, client._base_url.port)
    writer.write(b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 400001\r\n\r\n" % CHAT.encode())
    async with asyncio.timeout(5):
        head = await reader.read()
    writer.close()
    assert head.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in head


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


async def test_a_body_that_does_not_come_is_the_clients_fault(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "TIMEOUT_S", 0.05)
    never = asyncio.Event()

    async def half() -> Any:
        yield b'{"model": '
        await never.wait()

    async with client.post(CHAT, data=half(), headers=KEY) as reply:
        body = await refused(reply, 408, "in time")
        assert (body["code"], reply.headers["x-should-retry"]) == ("body_too_slow", "false")
        assert reply.headers["connection"] == "close"
    never.set()


async def test_a_connection_is_kept_after_every_refusal(client: Client) -> None:
    assert client._base_url is not None
    reader, writer = await asyncio.open_connection(client._base_url.host, client._base_url.port)
    asked = [
        (b"POST %b" % CHAT.encode(), 401),
        (b"GET %b" % CHAT.encode(), 405),
        (b"OPTIONS %b" % CHAT.encode(), 405),
        (b"HEAD /v1/nothing", 404),
        (b"POST /v1/nothing", 404),
        (b"HEAD /healthz", 200),
        (b"GET /healthz", 200),
    ]
    for line, status in asked:
        body = b"" if b"POST" not in line else b"{}"
        writer.write(b"%b HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (line, len(body), body))
        async with asyncio.timeout(5):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
            assert line.startswith(b"HEAD") or await reader.readexactly(length)
        assert head.startswith(b"HTTP/1.1 %d " % status)
        assert b"x-request-id: " in head
        assert b"connection: close" not in head
    writer.close()


async def test_who_is_not_answered_when_the_server_stops_is_told_so() -> None:
    began = asyncio.Event()

    async def never(*_: Any) -> None:
        began.set()
        await asyncio.Event().wait()

    app = create_app(FakeGateway(processInferenceRequest=never), HttpSettings(), request_timeout_s=30.0, metrics=True)
    async with asyncio.TaskGroup() as group, aiohttp.ClientSession() as http:
        async with serving(app, Listen(port=0, drain_s=0.05)) as url:
            asking = group.create_task(http.post(f"{url}{CHAT}", json={}, headers=KEY))
            await began.wait()
        body = await refused(await asking, 503, "being stopped")
        assert body["code"] == "unavailable"
        assert (await asking).headers["x-should-retry"] == "true"


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
        async with client.post("/api/auth/login", json={"email": "a", "password": "b"}, headers=headers) as reply:
            assert reply.status == 404  # the fake gateway knows no login: the guard has let it through


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        *[("GET", path, "POST") for path in KINDS],
        ("DELETE", "/v1/models", "GET"),
        ("GET", "/api/auth/login", "POST"),
        ("OPTIONS", CHAT, "POST"),
    ],
)
async def test_a_wrong_method(client: Client, method: str, path: str, allow: str) -> None:
    async with client.request(method, path, headers=KEY) as reply:
        await refused(reply, 405, method, allow)
        assert allow in reply.headers["allow"]


@pytest.mark.parametrize("path", ["/nothing", "/v1/nothing", "/v1/chat", "/metrics/x", "/" + "x" * 5000])
async def test_an_unknown_route(client: Client, path: str) -> None:
    async with client.get(path) as reply:
        await refused(reply, 404, "/v1")


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/chat/completions", CHAT),
        ("/v1/v1/chat/completions", CHAT),
        ("/v1/chat/completions/", CHAT),
        ("/api/v1/chat/completions", CHAT),
        ("/openai/v1/models", "/v1/models"),
        ("/api/models/", "/api/models"),
        ("/v1/api/usage", "/api/usage"),
    ],
)
async def test_a_route_that_a_wrong_base_url_makes_names_the_right_one(client: Client, path: str, meant: str) -> None:
    async with client.post(path, json={}, headers=KEY) as reply:
        await refused(reply, 404, f"Did you mean {meant}?")


async def test_a_fault_of_ours_shows_no_internals(serve: Serve) -> None:
    client = await serve(FakeGateway(processInferenceRequest=always(ZeroDivisionError("secret"))))
    async with client.post(CHAT, json={}, headers=KEY) as reply:
        body = await refused(reply, 500, "operator")
        assert "secret" not in str(body)


async def test_two_different_keys_are_refused_and_the_same_one_twice_is_not(serve: Serve) -> None:
    gateway = FakeGateway()
    client = await serve(gateway)
    async with client.post(CHAT, json={}, headers=KEY | {"X-API-Key": "hi_other"}) as reply:
        body = await refused(reply, 400, "different keys")
        assert "hi_" not in body["message"]
        assert reply.headers["x-request-id"]
    assert gateway.calls == []
    async with client.post(CHAT, json={}, headers=KEY | {"X-API-Key": "hi_key"}):
        assert [meta.key for _, _, meta in gateway.calls] == ["hi_key"]


SECRET = "hi_Abcd1234_" + "x" * 49
JWT = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIxIn0.c2ln"


@pytest.mark.parametrize(
    "path",
    [
        f"/v1/models?api_key={SECRET}",
        "/v1/models?api_key=short",
        "/v1/models?API%5FKEY=short",
        "/v1/models?x=1;api_key=short",
        "/api/models?access_token=abc",
        f"/api/models?x={JWT}",
        f"/api/me?q={SECRET.replace('_', '%5F')}",
        f"/api/me?q={SECRET.replace('_', '%255F')}",
        f"/v1/models/{SECRET}",
        f"/api/auth/api-keys/{SECRET[:14]}",
        f"/nowhere/{JWT}",
        "/api/auth/reset/hr_" + "x" * 49,
    ],
)
async def test_a_key_in_a_url_is_refused_and_repeated_nowhere(
    serve: Serve, path: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway = FakeGateway()
    client = await serve(gateway)
    async with client.get(URL(path, encoded=True), headers=KEY) as reply:
        body = await refused(reply, 400, "does not belong in a URL", "Revoke")
        shown = f"{body} {dict(reply.headers)} {caplog.text} {capsys.readouterr()}"
    assert gateway.calls == []
    for secret in (SECRET[:14], JWT[:20], "hr_x"):
        assert secret not in shown


@pytest.mark.parametrize("path", ["/v1/models/hi_there_model", "/api/auth/api-keys/k_1?", "/api/usage?api_key_id=k1"])
async def test_what_only_looks_like_a_key_from_afar_is_none(serve: Serve, path: str) -> None:
    client = await serve(FakeGateway())
    async with client.get(path, headers=KEY) as reply:
        assert reply.status != 400


@pytest.mark.parametrize("given", ["x" * 129, "caf\u00e9"])
async def test_a_request_id_that_makes_no_sense_is_replaced(client: Client, given: str) -> None:
    async with client.get("/healthz", headers={"X-Request-Id": given}) as reply:
        assert reply.headers["x-request-id"].startswith("req_")
