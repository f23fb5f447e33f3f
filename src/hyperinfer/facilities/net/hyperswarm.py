"""The net over Hyperswarm: what this process serves is reached directly, everything else through the driver."""

import asyncio
import itertools
import struct
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import structlog

from hyperinfer.errors import DriverLost, HyperinferError, StartError
from hyperinfer.facilities.net import NOBODY, Admission, Identity, Inbound, Link, NetStatus
from hyperinfer.facilities.net.driver.install import Say, ensure_installed, node_path
from hyperinfer.facilities.net.driver.process import DriverProcess
from hyperinfer.facilities.net.link import DriverLink
from hyperinfer.facilities.net.memory import MemoryEndpoint, MemoryNet
from hyperinfer.facilities.net.settings import NetSettings
from hyperinfer.facilities.tasks import background
from hyperinfer.protocol.frames import Op

log = structlog.get_logger(__name__)

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
RETRY_ANNOUNCE_S = 5.0
KEY_BYTES = 32
CONNECT = struct.Struct("<II")
"""Time allowed in milliseconds, and the handle of the link; the key follows."""


class HyperswarmNet:
    """The net object of a process with a driver. Use `hyperswarm` to make one."""

    def __init__(self, settings: NetSettings, say: Say) -> None:
        self.settings = settings
        self._say = say
        self.hub = MemoryNet()
        self.driver: DriverProcess | None = None
        self.links: dict[int, DriverLink] = {}
        self._endpoints: dict[int, HyperswarmEndpoint] = {}
        self._handles = 0
        self._link_handles = itertools.count(1, 2)  # ours are odd, the driver's even
        self._restarts = 0
        self._online = False
        self._reason = "the swarm driver is starting"
        self._ended = asyncio.Event()

    async def open(self, identity: Identity) -> "HyperswarmEndpoint":
        """An endpoint for one identity. Raises `Conflict` if it is open already."""
        local = await self.hub.open(identity)
        self._handles += 1
        endpoint = HyperswarmEndpoint(self, self._handles, identity, local)
        self._endpoints[endpoint.handle] = endpoint
        await endpoint.restore()
        return endpoint

    def status(self) -> NetStatus:
        """What can be reached now."""
        state = "online" if self._online else "offline"
        return NetStatus(state, "" if self._online else self._reason, self._restarts)

    def new_handle(self) -> int:
        """A handle for a link of ours."""
        return next(self._link_handles)

    def running(self) -> DriverProcess:
        """The driver. Raises `DriverLost` while there is none."""
        if self.driver is None or self.driver.ended:
            raise DriverLost("The swarm driver has ended; it is being restarted.")
        return self.driver

    def forget(self, endpoint: "HyperswarmEndpoint") -> None:
        """An endpoint has been closed."""
        self._endpoints.pop(endpoint.handle, None)

    # --- the driver's life ----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the driver and restore what was open. Raises `StartError`, `DriverLost`."""
        modules = await ensure_installed(self.settings.node, say=self._say)
        driver = DriverProcess(self._on_frame, self._ended.set)
        self._ended.clear()
        await driver.start(node_path(self.settings.node), modules)
        try:
            await driver.command_json(
                Op.START,
                0,
                {
                    "bootstrap": self.settings.bootstrap,
                    "host": self.settings.host,
                    "firewalled": self.settings.firewalled,
                    "heartbeat": int(self.settings.heartbeat_s * 1000),
                },
            )
        except HyperinferError:
            await driver.stop()
            raise
        self.driver = driver
        self._reason = "no node of the DHT answers"
        for endpoint in tuple(self._endpoints.values()):
            await endpoint.restore()

    async def watch(self) -> None:
        """Start the driver again whenever it ends, at first at once, then after longer and longer pauses."""
        pause_s = FIRST_PAUSE_S
        while True:
            await self._ended.wait()
            self._lost()
            await asyncio.sleep(pause_s)
            try:
                await self.start()
            except HyperinferError as error:
                log.error("driver_not_restarted", reason=error.message)
                self._ended.set()
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
                continue
            self._restarts += 1
            pause_s = FIRST_PAUSE_S
            log.warning("driver_restarted", restarts=self._restarts)

    async def stop(self) -> None:
        """End the driver for good."""
        self._lost()
        if self.driver is not None:
            await self.driver.stop()

    def _lost(self) -> None:
        self._online = False
        self._reason = "the swarm driver has ended and is being restarted"
        for link in tuple(self.links.values()):
            link.lost(DriverLost("The swarm driver ended with this call in flight; it is being restarted."))

    # --- what the driver sends ------------------------------------------------------------------------------

    def _on_frame(self, op: int, call_id: int, handle: int, name: str, payload: bytes) -> None:
        link = self.links.get(handle)
        if link is not None and link.take(op, call_id, name, payload):
            return
        if op == Op.LINK_OPENED:
            endpoint = self._endpoints.get(call_id)
            if endpoint is not None:
                endpoint.opened(handle, payload)
        elif op == Op.STATUS:
            self._online = name == "online"
            self._reason = "" if self._online else "no node of the DHT answers"
            log.info("swarm", state=name)


class HyperswarmEndpoint:
    """One identity: served in this process for this process, and by the driver for all others."""

    def __init__(self, net: HyperswarmNet, handle: int, identity: Identity, local: MemoryEndpoint) -> None:
        self.handle = handle
        self._net = net
        self._identity = identity
        self._local = local
        self._inbound: Inbound | None = None
        self._methods: tuple[str, ...] = ()
        self._admission = NOBODY
        self._announcing: dict[bytes, asyncio.Task[None]] = {}

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
        # Known before it is open: what the peer sends first may come together with the answer.
        link = DriverLink(driver, self._net.links, handle, public_key, inbound)
        try:
            payload = CONNECT.pack(int(timeout_s * 1000), handle) + public_key
            await driver.command(Op.CONNECT, self.handle, payload, timeout_s=timeout_s + 1.0)
        except BaseException:
            link.close()
            raise
        link.opened()
        return link

    async def announce(self, topic: bytes) -> None:
        """Be found under a topic; announced again and again in the background, at once if the driver is new."""
        await self._local.announce(topic)
        if topic not in self._announcing:
            self._announcing[topic] = asyncio.create_task(self._keep_announcing(topic), name="announce")

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
        for topic in tuple(self._announcing):
            self._announcing.pop(topic).cancel()
            await self.announce(topic)

    def opened(self, handle: int, public_key: bytes) -> None:
        """The driver has accepted a connection for us."""
        if self._inbound is not None:
            DriverLink(self._net.running(), self._net.links, handle, public_key, self._inbound).opened()

    async def _listen(self, driver: DriverProcess) -> Any:
        return await driver.command_json(Op.LISTEN, self.handle, {"methods": self._methods, **self._admitted()})

    def _admitted(self) -> dict[str, Any]:
        return {
            "everyone": self._admission.everyone,
            "keys": [key.hex() for key in self._admission.keys],
            "maxStrangers": self._net.settings.max_stranger_connections,
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
        while True:
            pause_s = self._net.settings.announce_interval_s
            try:
                await self._net.running().command(Op.ANNOUNCE, self.handle, topic)
            except HyperinferError as error:
                log.debug("not_announced", reason=error.message)
                pause_s = RETRY_ANNOUNCE_S
            if self._net.status().state != "online":
                pause_s = RETRY_ANNOUNCE_S
            await asyncio.sleep(pause_s)


@asynccontextmanager
async def hyperswarm(settings: NetSettings, *, say: Say = lambda _: None) -> AsyncIterator[HyperswarmNet]:
    """The net of a process, its driver running as long as the block lasts.

    `say` is told of a first installation. Raises `StartError` if the driver cannot be installed or started at all.
    """
    net = HyperswarmNet(settings, say)
    try:
        await net.start()
        async with background(net.watch(), name="driver watch"):
            yield net
    except DriverLost as error:
        raise StartError(f"The swarm driver did not start: {error.message}") from error
    finally:
        await net.stop()
