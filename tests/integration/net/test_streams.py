"""Streams over a real link: credit, cancellation, and readers that stall without holding up anybody else."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from tests.integration.net.conftest import CLIENT, SERVER

from hyperinfer.contracts.method import Method, Wire, members
from hyperinfer.errors import HyperinferError, StreamStalled
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.facilities.net import Admission, Net
from hyperinfer.facilities.net.hyperswarm import HyperswarmNet, hyperswarm
from hyperinfer.facilities.net.memory import MemoryNet
from hyperinfer.facilities.net.peers import Peers
from hyperinfer.facilities.net.settings import NetSettings
from hyperinfer.facilities.net.streams import Streams
from hyperinfer.kernel import members as member_file
from hyperinfer.kernel.calls import Call, route
from hyperinfer.kernel.dispatch import Dispatcher
from hyperinfer.kernel.members import Members
from hyperinfer.protocol import streams
from hyperinfer.protocol.streams import DEFAULT_WINDOW
from hyperinfer.testing.testnet import local_dht, quick


class Count(Wire, frozen=True):
    up_to: int = 0
    size_bytes: int = 10


COUNT = Method("count", Count, Count, members("gateway"), streams=True)
STALLED = 100


@dataclass
class Scene:
    """A dispatcher that counts for whoever asks, and a peer that asks."""

    dispatcher: Dispatcher
    peers: Peers
    nets: tuple[Net, Net]
    sent: int = 0

    async def count(self, request: Count, call: Call) -> Count:
        chunk = b'"%b"' % (b"x" * request.size_bytes)
        for _ in range(request.up_to):
            await call.stream([chunk])
            self.sent += 1
        return request

    async def ask(self, up_to: int, sink: Any, *, size_bytes: int = 10) -> Count:
        request = Count(up_to, size_bytes)
        return await self.peers.call(SERVER.public_key, COUNT, request, timeout_s=30, sink=sink)


@asynccontextmanager
async def scene_over(server: Net, client: Net, settings: NetSettings, folder: Path) -> AsyncIterator[Scene]:
    member_file.add(folder, CLIENT.public_key, roles=["gateway"], name="", now=datetime.now(UTC))
    members, clock = Members.load(folder), SystemClock()
    running = Streams(stall_timeout_s=settings.stall_timeout_s)
    dispatcher = Dispatcher(members=members, clock=clock, running=running, own_key=SERVER.public_key)
    endpoint = await server.open(SERVER)
    async with Peers(await client.open(CLIENT), clock=clock, settings=settings) as peers:
        scene = Scene(dispatcher, peers, (server, client))
        dispatcher.serve([route(COUNT, scene.count)], None)
        await endpoint.listen(dispatcher, methods=dispatcher.methods, admission=Admission(keys=members.keys))
        yield scene


@pytest.fixture(params=["memory", "two drivers"])
async def scene(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        settings = quick(NetSettings())
        server: Net = MemoryNet()
        client = server
        if request.param == "two drivers":
            settings = quick(await stack.enter_async_context(local_dht()))
            server = await stack.enter_async_context(hyperswarm(settings))
            client = await stack.enter_async_context(hyperswarm(settings))
        # Long enough for the 13 MB that a hundred windows hold to pass before a reader that keeps up seems to stall.
        settings = msgspec.structs.replace(settings, stall_timeout_s=3.0)
        yield await stack.enter_async_context(scene_over(server, client, settings, tmp_path))


async def discard(chunks: Sequence[bytes]) -> None:
    """A reader that keeps up."""


def memory_bytes(scene: Scene) -> int:
    """What this process and its drivers take."""
    pids = [os.getpid()]
    pids += [net.driver.pid for net in scene.nets if isinstance(net, HyperswarmNet) and net.driver]
    return sum(psutil.Process(pid).memory_info().rss for pid in pids)


async def test_a_long_stream_arrives_whole(scene: Scene) -> None:
    got = 0

    async def sink(chunks: Sequence[bytes]) -> None:
        nonlocal got
        got += len(chunks)

    assert (await scene.ask(20_000, sink)).up_to == 20_000
    assert got == 20_000


async def test_a_slow_reader_holds_its_sender_back(scene: Scene) -> None:
    seen = asyncio.Event()
    go_on = asyncio.Event()

    async def sink(chunks: Sequence[bytes]) -> None:
        seen.set()
        await go_on.wait()

    reading = asyncio.create_task(scene.ask(2000, sink))
    await seen.wait()
    await asyncio.sleep(0.1)
    assert scene.sent <= DEFAULT_WINDOW + 1
    go_on.set()
    await reading
    assert scene.sent == 2000


async def test_a_hundred_stalled_readers_hold_up_nobody_and_cost_little(scene: Scene) -> None:
    """All on one connection: each is ended by its own deadline, while others read as if they were alone."""
    release = asyncio.Event()

    async def stall(chunks: Sequence[bytes]) -> None:
        await release.wait()

    await scene.ask(1000, discard)
    before = memory_bytes(scene)
    # Unbounded, each would send 100 MB.
    stalled = [asyncio.create_task(scene.ask(100_000, stall, size_bytes=1000)) for _ in range(STALLED)]
    assert (await scene.ask(2000, discard)).up_to == 2000
    filled = memory_bytes(scene)
    # A window passes through six buffers on its way: twice a process, its driver and the socket between them.
    assert filled - before < 10 * STALLED * DEFAULT_WINDOW * 1000
    for _ in range(5):
        assert (await scene.ask(2000, discard)).up_to == 2000
    assert memory_bytes(scene) - filled < STALLED * DEFAULT_WINDOW * 1000
    assert scene.sent < 1000 + 6 * 2000 + STALLED * (DEFAULT_WINDOW + 1)
    assert await scene.dispatcher.drain(15)
    release.set()
    results = await asyncio.gather(*stalled, return_exceptions=True)
    assert all(isinstance(result, StreamStalled) for result in results)


async def test_a_reader_that_leaves_stops_the_sender(scene: Scene) -> None:
    async def leave(chunks: Sequence[bytes]) -> None:
        raise HyperinferError("enough")

    with pytest.raises(HyperinferError, match="enough"):
        await scene.ask(100_000, leave)
    assert await scene.dispatcher.drain(2)
    assert scene.sent < 100_000


async def test_events_that_nobody_can_read_end_nothing(scene: Scene) -> None:
    """A stranger may send them: what fails in taking one would have ended the driver, and every connection with it."""
    await scene.ask(1, discard)
    [link] = scene.peers._links.values()
    for payload in (b'{"x":' * 5000, b'{"id":"\xff"}', b"\xff", b'{"id":1,"n":1e999}'):
        for event in (streams.MORE, streams.CANCEL):
            link.event(COUNT.name + event, payload)
    assert (await scene.ask(2, discard)).up_to == 2
    assert not link.closed
