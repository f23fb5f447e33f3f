"""Servers that are no gateway of ours, over a socket and in this process: what they say is never taken for an answer."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.types import Receive, Scope, Send

from hyperinfer import AsyncClient
from hyperinfer.errors import BackendFailed, BadRequest, PeerLost, TooLarge, Unavailable
from hyperinfer.facilities.http import Listen, serving
from hyperinfer.sdk import transport
from hyperinfer.sdk.carriers.http import Http
from hyperinfer.sdk.carriers.inprocess import HELD_BYTES, InProcess
from hyperinfer.testing.gateway import FakeGateway
from hyperinfer.testing.reach import LINK, Reach, by_http, by_swarm


class Server:
    """Answers what the test says, and remembers what it was asked."""

    def __init__(self, status: int, *body: bytes, headers: list[tuple[bytes, bytes]] | None = None) -> None:
        self.status, self.body, self.headers = status, body, headers or []
        self.scope: Scope = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        for piece in self.body:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})


@pytest.fixture(params=["socket", "process"])
async def ask(request: pytest.FixtureRequest, server: Server) -> AsyncIterator[AsyncClient]:
    if request.param == "process":
        async with AsyncClient("http://in.process", api_key="k", carrier=InProcess(server)) as client:
            yield client
        return
    async with serving(server, Listen(port=0, drain_s=1.0)) as url, AsyncClient(url, api_key="k") as client:
        yield client


def answering(status: int, *body: bytes, headers: list[tuple[bytes, bytes]] | None = None) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("server", [Server(status, *body, headers=headers)], ids=[""])


@answering(200, b"<html>")
async def test_an_answer_that_is_no_json_is_a_failure_of_the_server(ask: AsyncClient) -> None:
    with pytest.raises(BackendFailed, match="something else"):
        await ask.models.list()


@answering(502, b"<html>")
async def test_a_refusal_without_a_reason_names_its_status(ask: AsyncClient) -> None:
    with pytest.raises(BackendFailed, match="502"):
        await ask.models.list()


@answering(307, headers=[(b"location", b"http://127.0.0.1:1/")])
async def test_a_key_does_not_follow_a_redirect(ask: AsyncClient) -> None:
    with pytest.raises(BadRequest, match="final address"):
        await ask.models.list()


@answering(200, b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n')
async def test_a_stream_without_its_end_mark_has_failed(ask: AsyncClient) -> None:
    async with ask.stream("hi") as stream:
        assert await anext(stream) == "a"
        with pytest.raises(PeerLost):
            await anext(stream)


@answering(200, b"data: nonsense\n\n")
async def test_a_stream_of_something_else_has_failed(ask: AsyncClient) -> None:
    async with ask.stream("hi") as stream:
        with pytest.raises(BackendFailed, match="not JSON"):
            await anext(stream)


@answering(200, *[b" " * 1024] * 3)
async def test_an_answer_without_end_is_not_read_to_its_end(ask: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MAX_REPLY_BYTES", 2048)
    with pytest.raises(TooLarge):
        await ask.models.list()


@answering(200, b'{"data": []}')
async def test_what_a_server_sees_of_a_request(ask: AsyncClient, server: Server) -> None:
    await ask.admin.users.list("ä b&c")
    seen = dict(server.scope["headers"])
    assert server.scope["path"] == "/api/admin/users"
    assert server.scope["query_string"] == b"query=%C3%A4+b%26c&limit=50"
    assert seen[b"authorization"] == b"Bearer k"
    assert seen[b"user-agent"].startswith(b"hyperinfer/")
    assert b"cookie" not in seen


# --- nobody is there -----------------------------------------------------------------------------------------


async def test_nobody_there_is_said_with_the_address() -> None:
    with by_http(FakeGateway()) as way:
        pass
    async with way.client() as client:
        with pytest.raises(Unavailable, match=way.address):
            await client.models.list()


async def test_a_gateway_that_cannot_be_found_is_waited_for_once(reach_nobody: Reach) -> None:
    with reach_nobody(FakeGateway()) as way:
        async with way.client() as client, asyncio.timeout(5):
            with pytest.raises(Unavailable, match="gateway") as caught:
                await client.models.list()
    assert "status" not in caught.value.details


@pytest.fixture
def reach_nobody(monkeypatch: pytest.MonkeyPatch) -> Reach:
    """The swarm, where the gateway of the link is not."""
    monkeypatch.setattr("hyperinfer.testing.reach.LINK", f"{LINK[:-8]}{'0' * 8}")
    return by_swarm


# --- an app in this process ----------------------------------------------------------------------------------


async def test_who_writes_is_held_back_until_it_is_read() -> None:
    sent = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(100):
            await send({"type": "http.response.body", "body": b"x" * (HELD_BYTES // 4), "more_body": True})
            sent += 1
        await send({"type": "http.response.body"})

    carrier = InProcess(app)
    reply = await carrier.exchange("GET", "/", {}, b"")
    length = len(await reply.piece())
    assert sent < 10
    while piece := await reply.piece():
        assert len(piece) <= 2 * HELD_BYTES
        length += len(piece)
    assert length == 100 * (HELD_BYTES // 4)
    await carrier.close()


async def test_an_app_that_ends_or_fails_without_an_answer_has_broken_off() -> None:
    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        return

    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ZeroDivisionError

    with pytest.raises(PeerLost):
        await InProcess(silent).exchange("GET", "/", {}, b"")
    reply = await InProcess(failing).exchange("GET", "/", {}, b"")
    with pytest.raises(PeerLost):
        await reply.piece()


async def test_closing_hangs_up_and_waits_for_the_end() -> None:
    ended: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        message = await receive()
        await send({"type": "http.response.body", "body": b"nobody reads this"})
        ended.append(message["type"])

    carrier = InProcess(app)
    reply = await carrier.exchange("POST", "/", {}, b"{}")
    await carrier.close()
    assert ended == ["http.disconnect"]
    with pytest.raises(PeerLost):
        await reply.piece()


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "POST"])
async def test_a_connection_that_ends_without_an_answer_is_not_used_to_send_again(method: str) -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).partition(b" ")[0])
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        asked.append((await reader.readuntil(b"\r\n\r\n")).partition(b" ")[0])
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        carrier = Http(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", connect_timeout_s=5)
        await carrier.open()
        try:
            first = await carrier.exchange("GET", "/", {}, b"")
            assert await first.piece() == b"{}"
            with pytest.raises(PeerLost):
                await carrier.exchange(method, "/", {}, b"")
        finally:
            await carrier.close()
    assert asked == [b"GET", method.encode()]
