"""Requests as old, new, hasty and broken clients send them, byte by byte."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from hyperinfer.facilities.http import Listen, protocol, serving

LAST = b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Says what came; under `/stream` in pieces of unknown number, and under `/early` before the body is there."""
    body, more = b"", scope["path"] != "/early"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message.get("body", b"")
        more = message.get("more_body", False)
    said = b"[%b %b %b]" % (scope["method"].encode(), scope["path"].encode(), body)
    headers = [] if scope["path"] == "/stream" else [(b"content-length", b"%d" % len(said))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if scope["path"] == "/stream":
        for letter in said:
            await send({"type": "http.response.body", "body": bytes([letter]), "more_body": True})
        said = b""
    await send({"type": "http.response.body", "body": said})


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with serving(echo, Listen(port=0, drain_s=1.0, max_connections=2)) as url:
        yield url


class Wire:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, url: str) -> "Wire":
        host, port = url.removeprefix("http://").split(":")
        return cls(*await asyncio.open_connection(host, int(port)))

    async def until(self, mark: bytes) -> bytes:
        async with asyncio.timeout(5):
            return await self._reader.readuntil(mark)

    async def rest(self) -> bytes:
        async with asyncio.timeout(10):
            try:
                return await self._reader.read()
            except ConnectionResetError:
                return b""

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    def close(self) -> None:
        self._writer.close()


async def talk(url: str, *parts: bytes) -> bytes:
    """What is answered until the connection ends, to parts sent in packets of their own."""
    wire = await Wire.open(url)
    for part in parts:
        wire.write(part)
        await asyncio.sleep(0)
    try:
        return await wire.rest()
    finally:
        wire.close()


def said(answer: bytes) -> Sequence[str]:
    """What the app has been asked."""
    return [part.split("]")[0] for part in answer.decode().split("[")[1:]]


def error_in(answer: bytes) -> dict[str, Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"x-request-id: req_" in head
    assert b"connection: close" in head
    assert b"content-type: application/json" in head
    error: dict[str, Any] = json.loads(body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


async def test_requests_in_one_packet_are_answered_in_order(url: str) -> None:
    posts = b"".join(b"POST /%d HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n%d" % (n, n % 10) for n in range(20))
    answers = await talk(url, posts + LAST)
    assert said(answers) == [*(f"POST /{n} {n % 10}" for n in range(20)), "GET /last "]


async def test_a_connection_is_kept_after_every_kind_of_answer(url: str) -> None:
    head = b"HEAD /head HTTP/1.1\r\nHost: x\r\n\r\n"
    stream = b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"
    answers = await talk(url, head, stream, LAST)
    assert answers.count(b"HTTP/1.1 200") == 3
    assert b"content-length: 13\r\n\r\nHTTP/1.1" in answers  # of HEAD, the length and no body
    assert b"0\r\n\r\nHTTP/1.1" in answers


async def test_a_body_in_chunks_is_put_together(url: str) -> None:
    head = b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    answers = await talk(url, head, b"2\r\nab\r\n", b"1;ext=1\r\nc\r\n", b"0\r\nTrailer: t\r\n\r\n", LAST)
    assert said(answers) == ["POST /x abc", "GET /last "]


@pytest.mark.parametrize("apart", [False, True])
async def test_what_stands_behind_the_chunks_is_no_header(apart: bool) -> None:
    """Whoever asks through a proxy could write there what the proxy has to say, or go on without end."""
    seen: list[tuple[bytes, bytes]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        seen.extend(scope["headers"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    rest = b"1\r\na\r\n0\r\nX-Forwarded-For: 10.0.0.1\r\nHost: evil\r\n\r\n"
    async with serving(app, Listen(port=0, drain_s=1.0)) as url:
        answer = await talk(url, *([head, rest] if apart else [head + rest]))
    assert answer.startswith(b"HTTP/1.1 204 ")
    assert seen == [(b"host", b"x"), (b"connection", b"close"), (b"transfer-encoding", b"chunked")]


async def test_a_client_that_waits_to_be_told_to_go_on_is_told(url: str) -> None:
    wire = await Wire.open(url)
    wire.write(b"POST /x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    assert await wire.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    wire.write(b"abc" + LAST)
    assert said(await wire.rest()) == ["POST /x abc", "GET /last "]
    wire.close()


async def test_a_client_that_waits_and_is_answered_need_not_send_its_body(url: str) -> None:
    wire = await Wire.open(url)
    wire.write(b"POST /early HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    assert (await wire.until(b"]")).startswith(b"HTTP/1.1 200")
    wire.close()


@pytest.mark.parametrize("path", [b"/x", b"/stream"])
async def test_an_old_client_gets_no_chunks_and_the_end_of_the_connection(url: str, path: bytes) -> None:
    answer = await talk(url, b"GET %b HTTP/1.0\r\nHost: x\r\n\r\n" % path)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert (b"connection: close" in head, b"transfer-encoding" in head) == (True, False)
    assert body == b"[GET %b ]" % path


@pytest.mark.parametrize("apart", [False, True])
async def test_an_offer_of_another_protocol_is_passed_over_and_the_body_kept(url: str, apart: bool) -> None:
    head = b"POST /x HTTP/1.1\r\nHost: x\r\n" + H2C + b"Content-Length: 5\r\n\r\n"
    parts = [head, b"hello", LAST] if apart else [head + b"hello" + LAST]
    assert said(await talk(url, *parts)) == ["POST /x hello", "GET /last "]


async def test_offers_without_end_are_answered_one_by_one(url: str) -> None:
    asked = b"GET /x HTTP/1.1\r\nHost: x\r\n" + H2C + b"\r\n"
    assert len(said(await talk(url, asked * 3000 + LAST))) == 3001


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"GET / HTTP/9\r\n\r\n", 400, "malformed_request"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "malformed_request"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 TLS\r\n", 400, "malformed_request"),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400, "malformed_request"),
        (b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400, "malformed_request"),
        (
            b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            "malformed_request",
        ),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "malformed_request"),
        (b"CONNECT other:443 HTTP/1.1\r\nHost: other\r\n\r\n", 405, "method_not_allowed"),
        (
            b"GET / HTTP/1.1\r\n" + b"x-a: b\r\n" * (protocol.MAX_HEAD_BYTES // 8 + 2),
            431,
            "headers_too_large",
        ),
    ],
)
async def test_what_cannot_be_understood_is_refused_in_the_usual_shape(
    url: str, sent: bytes, status: int, code: str
) -> None:
    answer = await talk(url, sent)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert error_in(answer)["code"] == code


async def test_a_refusal_is_never_taken_for_an_earlier_answer(url: str) -> None:
    broken = await talk(url, b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na" + b"GET / HTTP/9\r\n\r\n")
    assert b"400" not in broken


async def test_a_rest_that_trickles_after_its_answer_ends_the_connection(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "REST_TIMEOUT_S", 0.1)
    wire = await Wire.open(url)
    wire.write(b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
    await wire.until(b"]")

    async def trickle() -> None:
        while True:
            wire.write(b"x")
            await asyncio.sleep(0.01)

    trickling = asyncio.create_task(trickle())
    assert await wire.rest() == b""
    trickling.cancel()
    wire.close()


async def test_a_rest_that_comes_in_time_keeps_the_connection(url: str) -> None:
    wire = await Wire.open(url)
    wire.write(b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n")
    await wire.until(b"]")
    wire.write(b"abc" + LAST)
    assert said(await wire.rest()) == ["GET /last "]
    wire.close()


async def test_a_connection_too_many_is_told_so_and_the_others_go_on(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = [await Wire.open(url) for _ in range(2)]
    for wire in kept:
        wire.write(b"GET /kept HTTP/1.1\r\nHost: x\r\n\r\n")
        await wire.until(b"]")
    answer = await talk(url, LAST)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert error_in(answer)["code"] == "overloaded"
    assert b"retry-after: 1" in answer
    monkeypatch.setattr(protocol, "EXCESS", 0)
    assert await talk(url, LAST) == b""
    for wire in kept:
        wire.write(LAST)
        assert said(await wire.rest()) == ["GET /last "]
        wire.close()
