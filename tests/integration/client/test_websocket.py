"""`/ws` through a bridge: conversations reach the gateway one by one, and whoever leaves leaves there too."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.gateway.conftest import House, house
from websockets.asyncio.client import ClientConnection, connect

from hyperinfer.contracts.inference import Processed, ProcessRequest
from hyperinfer.kernel.calls import Call
from hyperinfer.testing.inference import FakeInference, echo

from .conftest import BODY, Bridged, bridged


class Slow:
    """Answers as `echo` does, and then, where the request says `wait`, not to its end."""

    def __init__(self) -> None:
        self.under_way = 0
        self.changed = asyncio.Event()

    async def __call__(self, request: ProcessRequest, call: Call) -> Processed:
        self._count(1)
        try:
            processed = await echo(request, call)
            if b"wait" in bytes(request.body):
                await asyncio.get_running_loop().create_future()
            return processed
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        self.under_way += change
        self.changed.set()

    async def until(self, under_way: int) -> None:
        async with asyncio.timeout(5):
            while self.under_way != under_way:
                self.changed.clear()
                await self.changed.wait()


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
async def home(tmp_path: Path, slow: Slow) -> AsyncIterator[House]:
    inference = FakeInference("m", slots=64)
    inference.answer = slow
    async with house(tmp_path / "swarm", inference) as one:
        yield one


@pytest.fixture
async def bridge(home: House, tmp_path: Path) -> AsyncIterator[Bridged]:
    async with bridged(home, tmp_path / "outside") as one:
        yield one


def ws_of(bridge: Bridged) -> str:
    return bridge.worker.addresses["http"].replace("http://", "ws://") + "/ws"


def start(conversation: str, *, wait: bool = False) -> str:
    request = BODY | ({"metadata": {"then": "wait"}} if wait else {})
    return json.dumps({"type": "start", "id": conversation, "request": request})


async def until(connection: ClientConnection, *kinds: str) -> list[dict[str, Any]]:
    """All that is heard until one of these, it included."""
    heard: list[dict[str, Any]] = []
    async with asyncio.timeout(10):
        while not heard or heard[-1]["type"] not in kinds:
            heard.append(json.loads(await connection.recv()))
    return heard


async def test_conversations_through_a_bridge(home: House, bridge: Bridged, slow: Slow) -> None:
    async with connect(ws_of(bridge)) as connection:
        await until(connection, "ready")
        await connection.send(json.dumps({"type": "auth", "key": home.key}))
        [authenticated] = await until(connection, "authenticated")
        assert authenticated["username"] == "ada"
        await connection.send(start("a", wait=True))
        await connection.send(start("b"))
        heard = await until(connection, "done")
        assert "".join(one["text"] for one in heard if one["type"] == "delta" and one["id"] == "b") == "onetwothree"
        assert slow.under_way == 1
        await connection.send(json.dumps({"type": "cancel", "id": "a"}))
        await until(connection, "cancelled")
        await slow.until(0)
        await connection.send(start("c", wait=True))
        await until(connection, "delta")
        connection.transport.abort()
        async with asyncio.timeout(1):
            await slow.until(0)


async def test_a_key_is_lent_to_a_socket_that_brings_none(home: House, tmp_path: Path) -> None:
    key = home.key
    async with (
        bridged(home, tmp_path / "outside", lender=lambda _: lambda: key, use_local_session=True) as bridge,
        connect(ws_of(bridge)) as connection,
    ):
        ready, authenticated = await until(connection, "authenticated")
        assert "auth_within_s" not in ready
        assert authenticated["username"] == "ada"


async def test_a_gateway_that_is_away_ends_conversations_and_not_the_socket(home: House, bridge: Bridged) -> None:
    async with connect(ws_of(bridge), additional_headers={"X-API-Key": home.key}) as connection:
        await until(connection, "authenticated")
        await connection.send(start("a", wait=True))
        await until(connection, "delta")
        await home.kill("gateway")
        heard = await until(connection, "error")
        assert (heard[-1]["id"], heard[-1]["error"]["code"]) == ("a", "connection_lost")
        await connection.send(start("b"))
        [error] = await until(connection, "error")
        assert (error["id"], error["error"]["code"]) == ("b", "unavailable")
        await connection.send(json.dumps({"type": "ping"}))
        await until(connection, "pong")
        await home.stop("gateway")
        await home.start("gateway")
        await connection.send(start("c"))
        while (await until(connection, "done", "error"))[-1]["type"] == "error":
            await connection.send(start("c"))
