"""Two ends of the net: inside one process without a driver, inside one process with one, and across two drivers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest

from hyperinfer.facilities.net import Admission, Endpoint, Identity, Link, Net
from hyperinfer.facilities.net.hyperswarm import hyperswarm
from hyperinfer.facilities.net.memory import MemoryNet
from hyperinfer.facilities.net.settings import NetSettings
from hyperinfer.kernel.identity import from_seed
from hyperinfer.testing.testnet import local_dht, quick

SERVER, CLIENT, STRANGER = (from_seed(letter * 32) for letter in (b"s", b"c", b"x"))
METHODS = ("echo", "slow", "fail", "note")


class Recorder:
    """An inbound side that answers `echo`, hangs on `slow` and writes down the rest."""

    def __init__(self) -> None:
        self.links: list[Link] = []
        self.closed: list[Link] = []
        self.events: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self.started, self.cancelled = asyncio.Event(), asyncio.Event()

    async def on_request(self, link: Link, method: str, payload: bytes) -> bytes:
        if method == "slow":
            self.started.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        return payload

    def on_event(self, link: Link, method: str, payload: bytes) -> None:
        self.events.put_nowait((method, payload))

    def on_open(self, link: Link) -> None:
        self.links.append(link)

    def on_close(self, link: Link) -> None:
        self.closed.append(link)


@dataclass
class Ends:
    """A listening endpoint and one that may connect to it."""

    server_net: Net
    client_net: Net
    server: Endpoint
    client: Endpoint
    inbound: Recorder = field(default_factory=Recorder)
    outbound: Recorder = field(default_factory=Recorder)

    async def link(self) -> Link:
        return await self.client.connect(self.server.public_key, self.outbound, timeout_s=5)

    async def stranger(self, identity: Identity = STRANGER) -> Endpoint:
        return await self.client_net.open(identity)


@pytest.fixture
async def dht() -> AsyncIterator[NetSettings]:
    async with local_dht() as settings:
        yield quick(settings)


@pytest.fixture(params=["memory", "one process", "two drivers"])
async def ends(request: pytest.FixtureRequest) -> AsyncIterator[Ends]:
    async with AsyncExitStack() as stack:
        server_net: Net = MemoryNet()
        client_net = server_net
        if request.param != "memory":
            settings = quick(await stack.enter_async_context(local_dht()))
            server_net = client_net = await stack.enter_async_context(hyperswarm(settings))
            if request.param == "two drivers":
                client_net = await stack.enter_async_context(hyperswarm(settings))
        yield await join(server_net, client_net)


async def join(server_net: Net, client_net: Net) -> Ends:
    """A server that admits the client."""
    ends = Ends(server_net, client_net, await server_net.open(SERVER), await client_net.open(CLIENT))
    admission = Admission(keys=frozenset([CLIENT.public_key]))
    await ends.server.listen(ends.inbound, methods=METHODS, admission=admission)
    return ends
