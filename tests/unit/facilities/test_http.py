"""The HTTP server: which port it gets, what it does with heads that never end, and how it stops."""

import asyncio
import socket
from contextlib import closing
from typing import Any

import pytest

from hyperinfer.errors import StartError
from hyperinfer.facilities.http import Listen, coalesced, protocol, serving

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


async def hello(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


async def talk(url: str, data: bytes) -> bytes:
    """What the server answers until it closes the connection."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(data)
    try:
        async with asyncio.timeout(10):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


def taken_port() -> socket.socket:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    return sock


async def test_it_serves_at_the_url_it_gives() -> None:
    async with serving(hello, Listen(port=0)) as url:
        answer = await talk(url, GET.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"hello")
    assert b"server:" not in answer


async def test_a_configured_port_that_is_taken_is_an_error_that_names_the_setting() -> None:
    with closing(taken_port()) as sock:
        port = sock.getsockname()[1]
        with pytest.raises(StartError, match=rf"127\.0\.0\.1:{port}.*taken.*Set web\.http\.port"):
            async with serving(hello, Listen(port=port, setting="web.http.port")):
                pass


async def test_a_default_port_that_is_taken_moves_to_the_next_free_one() -> None:
    with closing(taken_port()) as sock:
        port = sock.getsockname()[1]
        async with serving(hello, Listen(first_port=port)) as url:
            assert port < int(url.rpartition(":")[2]) < port + 100


@pytest.mark.parametrize("host", ["203.0.113.7", "no such name"])
async def test_an_address_that_is_not_ours_is_an_error(host: str) -> None:
    with pytest.raises(StartError, match=host):
        async with serving(hello, Listen(host=host, port=0)):
            pass


async def test_a_head_that_is_too_large_ends_the_connection() -> None:
    async with serving(hello, Listen(port=0)) as url:
        endless = b"GET / HTTP/1.1\r\n" + b"x-a: b\r\n" * (protocol.MAX_HEAD_BYTES // 4)
        assert await talk(url, endless) == b""


@pytest.mark.parametrize("data", [b"", b"GET / HTTP/1.1\r\nhost"])
async def test_a_head_that_never_ends_ends_the_connection(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_TIMEOUT_S", 0.05)
    async with serving(hello, Listen(port=0)) as url:
        assert await talk(url, data) == b""


async def test_a_second_head_that_never_ends_ends_the_connection_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_TIMEOUT_S", 0.05)
    async with serving(hello, Listen(port=0)) as url:
        assert (await talk(url, GET + b"GET / HT")).count(b"hello") == 1


async def test_what_is_not_http_is_refused() -> None:
    async with serving(hello, Listen(port=0)) as url:
        assert (await talk(url, b"\x16\x03\x01 hello\r\n\r\n")).startswith(b"HTTP/1.1 400")


LARGE = 20_000_000


async def large(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % LARGE)]})
    await send({"type": "http.response.body", "body": bytes(LARGE // 2), "more_body": True})
    await send({"type": "http.response.body", "body": bytes(LARGE // 2)})


async def at_once(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % LARGE)]})
    await send({"type": "http.response.body", "body": bytes(LARGE)})


async def taken(url: str, *, first_after_s: float, pause_s: float, close: bool) -> int:
    """How much of an answer arrives at a client that takes its time, before it begins to read and then between reading."""
    host, port = url.removeprefix("http://").split(":")
    end = b"\r\nconnection: close\r\n\r\n" if close else b"\r\n\r\n"
    loop, got = asyncio.get_running_loop(), 0
    with closing(socket.socket()) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        client.setblocking(False)
        await loop.sock_connect(client, (host, int(port)))
        await loop.sock_sendall(client, GET.replace(b"\r\n\r\n", end))
        await asyncio.sleep(first_after_s)
        try:
            while got < LARGE and (data := await loop.sock_recv(client, 4_000_000)):
                got += len(data)
                await asyncio.sleep(pause_s)
        except ConnectionResetError:
            pass
    return got


@pytest.mark.parametrize("app", [large, at_once])
@pytest.mark.parametrize("close", [False, True])
async def test_a_client_that_takes_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch, app: Any, close: bool) -> None:
    """Else it holds its connection, and what there is for it, for as long as it likes."""
    monkeypatch.setattr(coalesced, "STALL_S", 0.1)
    async with serving(app, Listen(port=0)) as url:
        assert await taken(url, first_after_s=0.5, pause_s=0.0, close=close) < LARGE


@pytest.mark.parametrize("app", [large, at_once])
async def test_a_client_that_takes_its_time_gets_all(monkeypatch: pytest.MonkeyPatch, app: Any) -> None:
    monkeypatch.setattr(coalesced, "STALL_S", 0.4)
    async with serving(app, Listen(port=0)) as url:
        assert await taken(url, first_after_s=0.0, pause_s=0.002, close=True) >= LARGE


async def test_stopping_lets_an_answer_end_and_accepts_no_more() -> None:
    began, go_on = asyncio.Event(), asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        began.set()
        await go_on.wait()
        await hello(scope, receive, send)

    async with asyncio.TaskGroup() as group, serving(slow, Listen(port=0)) as url:
        answer = group.create_task(talk(url, GET))
        await began.wait()
        asyncio.get_running_loop().call_later(0.05, go_on.set)
    assert answer.result().endswith(b"hello")
    with pytest.raises(ConnectionRefusedError):
        await talk(url, GET)


async def test_stopping_cuts_an_answer_that_does_not_end() -> None:
    began = asyncio.Event()
    cut = asyncio.Event()

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            cut.set()

    async with asyncio.TaskGroup() as group, serving(endless, Listen(port=0, drain_s=1.0)) as url:
        group.create_task(talk(url, GET))
        await began.wait()
    assert cut.is_set()
