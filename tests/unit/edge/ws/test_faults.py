"""Clients that send nonsense, too much, too fast, or take nothing: each costs its own socket, and a bounded one."""

import asyncio
import json
from urllib.parse import urlsplit

import aiohttp
import pytest
from structlog.testing import capture_logs
from websockets.frames import Frame, Opcode

from hyperinfer.contracts.gateway import Infer, Inferred
from hyperinfer.edge.ws import outbox, session
from hyperinfer.facilities.http import server as http_server
from hyperinfer.facilities.http import sockets
from hyperinfer.kernel.calls import Send

from .conftest import HEAD, KEY, Asked, Client, Serve, Served, chunk, start, text_of


@pytest.mark.parametrize(
    ("said", "param"),
    [
        ("nonsense", None),
        ("", None),
        ("[]", None),
        ("{}", "type"),
        ('{"type": "begin"}', "type"),
        ('{"type": 1}', "type"),
        ('{"type": "start", "id": "c1"}', "request"),
        ('{"type": "start", "id": "", "request": {}}', "id"),
        ('{"type": "start", "id": 5, "request": {}}', "id"),
        (json.dumps({"type": "start", "id": "c" * 65, "request": {}}), "id"),
        ('{"type": "start", "id": "c1", "request": {}, "modle": "m"}', "modle"),
        ('{"type": "start", "id": "c1", "request": {}, "cache": "on"}', "cache"),
        ('{"type": "auth", "key": ""}', "key"),
        ("[" * 12_000, None),
    ],
)
async def test_what_makes_no_sense_is_told_so_and_named(served: Served, said: str, param: str | None) -> None:
    client = await served.ready()
    await client.say(said)
    [error] = await client.hears("error")
    assert "id" not in error
    assert (error["error"]["type"], error["error"]["param"]) == ("invalid_request_error", param)
    await client.say(start("c1", "hello"))
    assert text_of(await client.until("done")) == "hello"


async def test_too_much_nonsense_in_a_row_is_the_end(served: Served) -> None:
    client = await served.ready()
    await client.say(*["nonsense"] * (session.MAX_NONSENSE - 1), '{"type": "ping"}')
    await client.until("pong")
    await client.say(*["nonsense"] * session.MAX_NONSENSE)
    assert await client.closed() == (1008, "too many messages in a row make no sense")


async def test_binary_messages_are_the_end(served: Served) -> None:
    client = await served.ready()
    await client.connection.send(b'{"type": "ping"}')
    assert await client.closed() == (1003, "messages are JSON as text, not binary")


async def test_text_that_is_not_utf_8_is_the_end(served: Served) -> None:
    client = await served.ready()
    await client.connection.send(b"\xff\xfe", text=True)
    code, _ = await client.closed()
    assert code == 1007


async def test_messages_are_bounded_and_before_a_key_more_so(serve: Serve, asked: Asked) -> None:
    served = await serve(asked.fake, max_body_bytes=100_000)
    client = await served.ready()
    await client.say(start("c1", "x" * 99_000, stream=False))
    _, done = await client.hears("started", "done")
    assert len(done["message"]["content"]) == 99_000
    await client.say(start("c2", "wait"))
    await client.hears("started")
    await client.say("x" * 100_001)
    code, _ = await client.closed()
    assert code == 1009
    async with asyncio.timeout(1):
        await asked.until(lambda: asked.under_way == 0)

    stranger = await served.open(headers={})
    await stranger.hears("ready")
    await stranger.say("x" * (sockets.FIRST_BYTES + 1))
    code, _ = await stranger.closed()
    assert code == 1009


@pytest.mark.parametrize("piece", [b"", b"x"])
async def test_a_message_of_ever_so_many_pieces_is_the_end(served: Served, piece: bytes) -> None:
    client = await served.ready()
    frames = [
        Frame(Opcode.TEXT, b"{", fin=False),
        *[Frame(Opcode.CONT, piece, fin=False)] * (sockets.MAX_FRAGMENTS + 9),
    ]
    client.connection.transport.write(b"".join(frame.serialize(mask=True) for frame in frames))
    code, _ = await client.closed()
    assert code == 1009


async def test_a_message_in_a_few_pieces_is_one(served: Served) -> None:
    client = await served.ready()
    await client.connection.send(iter(['{"type"', "", ': "ping"}']))
    await client.hears("pong")


async def test_ever_so_many_messages_in_one_packet_are_the_end(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "MAX_UNREAD", 50)
    client = await served.ready()
    frame = Frame(Opcode.TEXT, b'{"type":"ping"}').serialize(mask=True)
    client.connection.transport.write(frame * 500)
    assert await client.closed() == (1008, "too many messages at once")


async def test_the_protocol_s_own_pings_are_answered_many_at_once_too(served: Served) -> None:
    client = await served.ready()
    frame = Frame(Opcode.PING, b"").serialize(mask=True)
    client.connection.transport.write(frame * 1000)
    await client.say({"type": "ping"})
    await client.hears("pong")
    assert await asyncio.wait_for(await client.connection.ping(), 5) >= 0


# --- clients that do not read -------------------------------------------------------------------------------


class Flood(Asked):
    """Answers `flood` with as much as is taken."""

    def __init__(self) -> None:
        super().__init__()
        self.sent_bytes = 0

    async def _answer(self, request: Infer, sink: Send | None) -> Inferred:
        if sink is None or b"flood" not in bytes(request.body):
            return await super()._answer(request, sink)
        piece = chunk("x" * 10_000)
        await sink([json.dumps({"worker": HEAD.worker, "model": "m"}).encode()])
        while True:
            await sink([piece])
            self.sent_bytes += len(piece)
            await asyncio.sleep(0)


def half_closed_reader(client: Client) -> None:
    """Take nothing more."""
    client.connection.transport.pause_reading()


async def test_a_client_that_takes_nothing_is_cut_off_and_costs_little(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "STALL_S", 0.3)
    flood = Flood()
    served = await serve(flood.fake)
    lazy, other = await served.ready(), await served.ready()
    half_closed_reader(lazy)
    await lazy.say(*(start(f"c{number}", "flood") for number in range(4)))
    await flood.until(lambda: flood.begun == 4)
    await other.say(start("c1", "hello"))
    assert text_of(await other.until("done")) == "hello"  # while the first one is stuck
    await flood.until(lambda: flood.under_way == 0)
    assert flood.sent_bytes < 12_000_000  # what the system's own buffers hold, and no more
    assert flood.cancelled == 4


async def test_an_idle_client_that_is_dead_is_noticed(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "PING_EVERY_S", 0.05)
    monkeypatch.setattr(http_server, "PONG_WITHIN_S", 0.1)
    asked = Asked()
    served = await serve(asked.fake)
    alive, dead = await served.ready(), await served.ready()
    await dead.say(start("c1", "wait"))
    await dead.hears("started")
    half_closed_reader(dead)
    await asked.until(lambda: asked.under_way == 0)
    await alive.say({"type": "ping"})
    await alive.hears("pong")


async def test_a_client_that_is_dead_in_mid_answer_is_noticed(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "PING_EVERY_S", 0.05)
    monkeypatch.setattr(http_server, "PONG_WITHIN_S", 0.1)
    flood = Flood()
    served = await serve(flood.fake)
    dead = await served.ready()
    half_closed_reader(dead)
    await dead.say(start("c1", "flood"))
    async with asyncio.timeout(5):
        await flood.until(lambda: flood.cancelled == 1)


async def test_a_client_that_errs_in_mid_answer_is_no_fault_of_ours(serve: Serve) -> None:
    flood = Flood()
    served = await serve(flood.fake, max_body_bytes=1000)
    with capture_logs() as logs:
        client = await served.ready()
        await client.say(start("c1", "flood"))
        await client.until("delta")
        await client.say("x" * 1001)
        code, _ = await client.closed()
        await flood.until(lambda: flood.under_way == 0)
    assert code == 1009
    assert logs == []


# --- the server stops ---------------------------------------------------------------------------------------


async def test_a_server_that_stops_lets_answers_end_and_says_why(serve: Serve, asked: Asked) -> None:
    served = await serve(asked.fake, drain_s=5.0)
    idle, busy = await served.ready(), await served.ready()
    await busy.say(start("c1", "wait"))
    await busy.hears("started")
    stopping = asyncio.create_task(served.stop())
    assert await idle.closed() == (1012, "the server stops; connect again")
    await busy.say(start("c2", "hello"))
    [error] = await busy.hears("error")
    assert (error["id"], error["error"]["code"], error["error"]["retry_after_s"]) == ("c2", "unavailable", 1.0)
    await busy.say({"type": "cancel", "id": "c1"})
    await busy.hears("cancelled")
    assert await busy.closed() == (1012, "the server stops; connect again")
    await stopping


async def test_a_server_that_stops_does_not_wait_for_ever(serve: Serve, asked: Asked) -> None:
    served = await serve(asked.fake, drain_s=0.1)
    busy = await served.ready()
    await busy.say(start("c1", "wait"))
    await busy.hears("started")
    with capture_logs() as logs:
        async with asyncio.timeout(3):
            await served.stop()
    assert asked.under_way == 0
    assert await busy.closed() == (1012, "the server stops; connect again")
    assert [entry["event"] for entry in logs] == ["answers_cut"]


# --- handshakes ---------------------------------------------------------------------------------------------


def handshake(served: Served, *lines: str, version: str = "13") -> bytes:
    where = urlsplit(served.url).netloc
    head = [
        "GET /ws HTTP/1.1",
        f"Host: {where}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        f"Sec-WebSocket-Version: {version}",
        *(f"{name}: {value}" for name, value in KEY.items()),
        *lines,
    ]
    return "\r\n".join([*head, "", ""]).encode()


async def answered(served: Served, head: bytes) -> bytes:
    """What comes for these bytes until the server closes."""
    where = urlsplit(served.url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    writer.write(head)
    async with asyncio.timeout(5):
        answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize(
    ("lines", "version", "status"),
    [
        ([], "12", 400),
        (["Sec-WebSocket-Key: BBBBBBBBBBBBBBBBBBBBBB=="], "13", 400),
        ([f"X-{number}: x" for number in range(200)], "13", 431),
        (["X: " + "x" * 9000], "13", 431),
    ],
)
async def test_a_handshake_that_cannot_be_is_answered_and_closed(
    served: Served, lines: list[str], version: str, status: int
) -> None:
    answer = await answered(served, handshake(served, *lines, version=version))
    assert answer.startswith(b"HTTP/1.1 %d " % status)


async def test_a_handshake_by_another_method_is_refused(served: Served) -> None:
    answer = await answered(served, handshake(served).replace(b"GET", b"POST", 1))
    assert answer.startswith(b"HTTP/1.1 405 ")


async def test_where_no_app_speaks_it_an_upgrade_is_passed_over(served: Served) -> None:
    async with aiohttp.ClientSession() as client:
        headers = {"Connection": "Upgrade", "Upgrade": "h2c"}
        async with client.get(f"{served.url}/healthz", headers=headers) as answer:
            assert answer.status == 200
