"""One identity on Hyperswarm: what it listens to, connects to and announces, told to each driver anew."""

import asyncio
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from hyperinfer.errors import DriverLost, HyperinferError
from hyperinfer.facilities.net import (
    NOBODY,
    Admission,
    How,
    Identity,
    Inbound,
    Link,
    LinkState,
)
from hyperinfer.facilities.net.driver.process import DriverProcess
from hyperinfer.facilities.net.link import DriverLink
from hyperinfer.facilities.net.memory import MemoryEndpoint, tell_nobody
from hyperinfer.protocol.frames import Op
from hyperinfer.protocol.link_words import Whereabouts

if TYPE_CHECKING:
    from hyperinfer.facilities.net.hyperswarm import HyperswarmNet

log = structlog.get_logger(__name__)

RETRY_ANNOUNCE_S = 5.0
PRIVATE_ANNOUNCE_S = 20.0
"""The few nodes of a private DHT forget everything when they are restarted, and hardly feel being told often."""
KEY_BYTES = 32
CONNECT = struct.Struct("<III")
"""Time allowed, and where a router's ports must be guessed, both in ms, and the handle of the link; the key follows."""

WHEREABOUTS_S = 4.0
"""How long the DHT may take to tell where a peer is."""


class Connected(msgspec.Struct, frozen=True, rename="camel"):
    """What the driver tells of a connection that it made."""

    how: How
    router: str
    remote_router: str


class HyperswarmEndpoint:
    """One identity: served in this process for this process, and by the driver for all others."""

    def __init__(self, net: "HyperswarmNet", handle: int, identity: Identity, local: MemoryEndpoint) -> None:
        self.handle = handle
        self._net = net
        self._identity = identity
        self._local = local
        self._inbound: Inbound | None = None
        self._methods: tuple[str, ...] = ()
        self._admission = NOBODY
        self._announcing: dict[bytes, asyncio.Task[None]] = {}
        self._tell_end: Callable[[LinkState], None] = tell_nobody

    @property
    def public_key(self) -> bytes:
        """This endpoint's public key."""
        return self._identity.public_key

    async def listen(self, inbound: Inbound, *, methods: Iterable[str], admission: Admission) -> None:
        """Accept connections, from this process and from outside."""
        self._inbound, self._methods, self._admission = inbound, tuple(methods), admission
        await self._local.listen(inbound, methods=self._methods, admission=admission)
        await self._tell(self._listen)

    async def admit(self, admission: Admission) -> None:
        """Replace who may connect, and cut whoever no longer may."""
        self._admission = admission
        await self._local.admit(admission)
        if self._inbound is not None:
            await self._tell(lambda driver: driver.command_json(Op.ADMIT, self.handle, self._admitted()))

    async def connect(self, public_key: bytes, inbound: Inbound, *, timeout_s: float) -> Link:
        """Open a connection; keys of this process are reached directly."""
        if public_key in self._net.hub.endpoints:
            return await self._local.connect(public_key, inbound, timeout_s=timeout_s)
        driver = self._net.running()
        handle = self._net.new_handle()
        punch_s = max(timeout_s, self._net.settings.punch_timeout_s)
        # Known before it is open: what the peer sends first may come together with the answer.
        link = DriverLink(driver, self._net.links, handle, public_key, inbound, endpoint=self.handle)
        try:
            payload = CONNECT.pack(int(timeout_s * 1000), int(punch_s * 1000), handle) + public_key
            told = await driver.command(Op.CONNECT, self.handle, payload, timeout_s=timeout_s + punch_s + 1.0)
        except BaseException:
            link.close()
            raise
        made = msgspec.json.decode(told, type=Connected)
        link.figures.how, link.figures.router, link.figures.remote_router = made.how, made.router, made.remote_router
        link.opened()
        return link

    async def announce(self, topic: bytes) -> None:
        """Be found under a topic; announced again and again in the background, at once if the driver is new."""
        await self._local.announce(topic)
        if topic not in self._announcing:
            self._announce(topic)

    async def withdraw(self, topic: bytes) -> None:
        """Stop being found under a topic."""
        await self._local.withdraw(topic)
        task = self._announcing.pop(topic, None)
        if task is not None:
            task.cancel()
            # Out of reach of the swarm there is nothing to take back, and finding that out takes long.
            if self._net.status().state == "online":
                await self._tell(lambda driver: driver.command(Op.WITHDRAW, self.handle, topic))

    async def lookup(self, topic: bytes) -> list[bytes]:
        """Who is found under a topic: those of this process first."""
        found = dict.fromkeys(await self._local.lookup(topic))
        if found and self._net.status().state != "online":
            return list(found)  # asking would only take until the deadline
        timeout_s = self._net.settings.lookup_timeout_s
        try:
            keys = await self._net.running().command(Op.LOOKUP, self.handle, topic, timeout_s=timeout_s)
        except HyperinferError:
            # Who is here is found even where the swarm is out of reach.
            if found:
                return list(found)
            raise
        found |= dict.fromkeys(keys[at : at + KEY_BYTES] for at in range(0, len(keys), KEY_BYTES))
        return list(found)

    def links(self) -> Sequence[LinkState]:
        """Every open connection, inside the process and outside."""
        return [*self._local.links(), *(link.state() for link in self._net.links.of(self.handle))]

    async def measure(self) -> None:
        """Bring their figures up to date."""
        await self._net.measure()

    def on_end(self, listener: Callable[[LinkState], None]) -> None:
        """Be told of every connection that has ended."""
        self._tell_end = listener
        self._local.on_end(listener)

    def ended(self, state: LinkState) -> None:
        """A connection of ours has ended."""
        self._tell_end(state)

    def is_here(self, public_key: bytes) -> bool:
        """Whether that is another endpoint of this process."""
        return self._local.is_here(public_key)

    async def whereabouts(self, public_key: bytes) -> Whereabouts:
        """What the DHT tells of a peer."""
        if self.is_here(public_key):
            return "here"
        if self._net.status().state != "online":
            return "unknown"
        try:
            driver = self._net.running()
            told = await driver.command(Op.WHEREABOUTS, self.handle, public_key, timeout_s=WHEREABOUTS_S)
        except HyperinferError as error:
            log.debug("whereabouts_unknown", reason=error.message)
            return "unknown"
        where: Whereabouts = msgspec.convert(told.decode(), Whereabouts)
        return where

    async def close(self) -> None:
        """Withdraw all topics and end all connections."""
        for task in self._announcing.values():
            task.cancel()
        self._announcing.clear()
        self._net.forget(self)
        await self._local.close()
        await self._tell(lambda driver: driver.command(Op.SHUT, self.handle))

    async def restore(self) -> None:
        """Make this endpoint known to a new driver, as it was to the last one."""
        await self._tell(lambda driver: driver.command(Op.OPEN, self.handle, self._identity.seed))
        if self._inbound is not None:
            await self._tell(self._listen)
        self.announce_again()

    def announce_again(self) -> None:
        """Announce all topics now: what the swarm knew of us may be lost."""
        for topic in tuple(self._announcing):
            self._announcing[topic].cancel()
            self._announce(topic)

    def _announce(self, topic: bytes) -> None:
        self._announcing[topic] = asyncio.create_task(self._keep_announcing(topic), name="announce")

    def opened(self, handle: int, told: bytes, *, host: str) -> None:
        """The driver has accepted a connection for us: from which key, and how it was made."""
        if self._inbound is not None:
            link = DriverLink(
                self._net.running(),
                self._net.links,
                handle,
                told[:KEY_BYTES],
                self._inbound,
                endpoint=self.handle,
                remote_host=host,
                is_inbound=True,
            )
            link.figures.how = msgspec.convert(told[KEY_BYTES:].decode(), How)
            link.opened()

    async def _listen(self, driver: DriverProcess) -> Any:
        return await driver.command_json(Op.LISTEN, self.handle, {"methods": self._methods, **self._admitted()})

    def _admitted(self) -> dict[str, Any]:
        return {
            "everyone": self._admission.everyone,
            "keys": [key.hex() for key in self._admission.keys],
            "maxStrangers": self._net.settings.max_stranger_connections,
            "maxStrangersPerHost": self._net.settings.max_stranger_connections_per_host,
        }

    async def _tell(self, act: Callable[[DriverProcess], Any]) -> None:
        """Tell the driver, if there is one: a new one is told everything again."""
        driver = self._net.driver
        if driver is None or driver.ended:
            return
        try:
            await act(driver)
        except DriverLost:
            return

    async def _keep_announcing(self, topic: bytes) -> None:
        settings = self._net.settings
        interval_s = settings.announce_interval_s
        if settings.bootstrap:
            interval_s = min(interval_s, PRIVATE_ANNOUNCE_S)
        while True:
            pause_s = interval_s
            try:
                await self._net.running().command(Op.ANNOUNCE, self.handle, topic)
            except HyperinferError as error:
                log.debug("not_announced", reason=error.message)
                pause_s = RETRY_ANNOUNCE_S
            if self._net.status().state != "online":
                pause_s = RETRY_ANNOUNCE_S
            await asyncio.sleep(pause_s)
