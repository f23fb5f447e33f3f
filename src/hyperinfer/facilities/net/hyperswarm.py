"""The net over Hyperswarm: what this process serves is reached directly, everything else through the driver."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec
import structlog

from hyperinfer.errors import DeadlineExceeded, DriverLost, HyperinferError, StartError
from hyperinfer.facilities.net import How, Identity, NetStatus
from hyperinfer.facilities.net.driver.install import Say, ensure_installed, node_path
from hyperinfer.facilities.net.driver.process import DriverProcess
from hyperinfer.facilities.net.endpoint import HyperswarmEndpoint
from hyperinfer.facilities.net.link import DriverLink, Links
from hyperinfer.facilities.net.memory import MemoryNet
from hyperinfer.facilities.net.settings import NetSettings
from hyperinfer.facilities.net.surroundings import Surroundings, own_addresses
from hyperinfer.facilities.tasks import background
from hyperinfer.protocol.frames import Op

log = structlog.get_logger(__name__)

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
STEADY_S = 30.0
"""A driver that lived as long as this is restarted as if for the first time."""
MEASURE_S = 1.0
"""How long the driver may take to tell the figures of its connections, and for how long they are new enough for everybody."""


class Measured(msgspec.Struct, frozen=True):
    """What the driver tells of its connections: handle, how, round trip in ms, bytes sent and received of each."""

    links: tuple[tuple[int, How, float | None, int, int], ...]
    surroundings: Surroundings


class HyperswarmNet:
    """The net object of a process with a driver. Use `hyperswarm` to make one."""

    def __init__(self, settings: NetSettings, say: Say) -> None:
        self.settings = settings
        self._say = say
        self.hub = MemoryNet()
        self.driver: DriverProcess | None = None
        self.links = Links(self._ended_link)
        self._surroundings: Surroundings | None = None
        self._measured_at = float("-inf")
        self._endpoints: dict[int, HyperswarmEndpoint] = {}
        self._handles = 0
        self._link_handles = itertools.count(1, 2)  # ours are odd, the driver's even
        self._restarts = 0
        self._online = False
        self._reason = "the swarm driver is starting"
        self._ended = asyncio.Event()

    async def open(self, identity: Identity) -> HyperswarmEndpoint:
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
        reason = "" if self._online else self._reason
        seen = self._surroundings
        if seen is None or not self._online:
            return NetStatus(state, reason, self._restarts)
        router = seen.router(own_addresses()) if self.settings.behind_router else "none"
        return NetStatus(state, reason, self._restarts, router, seen.host or "", seen.nodes)

    async def measure(self) -> None:
        """Bring the figures of all connections up to date; what the driver does not tell in time stays as it was."""
        now = asyncio.get_running_loop().time()
        if now - self._measured_at < MEASURE_S:
            return
        self._measured_at = now
        try:
            told = await self.running().command(Op.MEASURE, timeout_s=MEASURE_S)
        except HyperinferError as error:
            log.debug("links_not_measured", reason=error.message)
            return
        measured = msgspec.json.decode(told, type=Measured)
        self._surroundings = measured.surroundings
        for handle, how, round_trip_ms, sent_bytes, received_bytes in measured.links:
            link = self.links.get(handle)
            if link is None:
                continue
            link.figures.how = how
            link.figures.round_trip_s = None if round_trip_ms is None else round_trip_ms / 1000
            link.figures.sent_bytes, link.figures.received_bytes = sent_bytes, received_bytes

    def new_handle(self) -> int:
        """A handle for a link of ours."""
        return next(self._link_handles)

    def running(self) -> DriverProcess:
        """The driver. Raises `DriverLost` while there is none."""
        if self.driver is None or self.driver.ended:
            raise DriverLost("The swarm driver has ended; it is being restarted.")
        return self.driver

    def forget(self, endpoint: HyperswarmEndpoint) -> None:
        """An endpoint has been closed."""
        self._endpoints.pop(endpoint.handle, None)

    def _ended_link(self, link: DriverLink) -> None:
        endpoint = self._endpoints.get(link.endpoint)
        if endpoint is not None:
            endpoint.ended(link.state())

    # --- the driver's life ----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the first driver. Raises `StartError`."""
        try:
            await self._start()
        except (DriverLost, DeadlineExceeded) as error:
            raise StartError(f"The swarm driver did not start: {error.message}") from error

    async def watch(self) -> None:
        """Start the driver again whenever it ends, at first at once, then after longer and longer pauses."""
        loop = asyncio.get_running_loop()
        pause_s = FIRST_PAUSE_S
        while True:
            began = loop.time()
            await self._ended.wait()
            if loop.time() - began > STEADY_S:
                pause_s = FIRST_PAUSE_S
            await self.stop()
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
            try:
                await self._start()
            except HyperinferError as error:
                log.error("driver_not_restarted", reason=error.message)
                self._ended.set()
                continue
            self._restarts += 1
            log.warning("driver_restarted", restarts=self._restarts)

    async def _start(self) -> None:
        """Start a driver and restore what was open."""
        modules = await ensure_installed(self.settings.node, say=self._say)
        driver = DriverProcess(self._on_frame, self._ended.set)
        self._ended.clear()
        async with AsyncExitStack() as undo:
            undo.push_async_callback(driver.stop)
            await driver.start(node_path(self.settings.node), modules)
            await driver.command_json(Op.START, 0, self._taking_part())
            self.driver = driver
            self._reason = "no node of the DHT answers"
            for endpoint in tuple(self._endpoints.values()):
                await endpoint.restore()
            undo.pop_all()

    def _taking_part(self) -> dict[str, object]:
        return {
            "bootstrap": self.settings.bootstrap,
            "host": self.settings.host,
            "firewalled": self.settings.behind_router,
            "heartbeat": int(self.settings.heartbeat_s * 1000),
        }

    async def stop(self) -> None:
        """End the driver, if it has not ended yet, and everything that went through it."""
        self._lost()
        if self.driver is not None:
            await self.driver.stop()

    def _lost(self) -> None:
        self._online = False
        self._reason = "the swarm driver has ended and is being restarted"
        self.links.lose(DriverLost("The swarm driver ended with this call in flight; it is being restarted."))

    # --- what the driver sends ------------------------------------------------------------------------------

    def _on_frame(self, op: int, call_id: int, handle: int, name: str, payload: bytes) -> None:
        link = self.links.get(handle)
        if link is not None and link.take(op, call_id, name, payload):
            return
        if op == Op.LINK_OPENED:
            endpoint = self._endpoints.get(call_id)
            if endpoint is not None:
                endpoint.opened(handle, payload, host=name)
        elif op == Op.LINK_CLOSED:
            self.links.told(handle, payload)
        elif op == Op.STATUS:
            self._online = name == "online"
            self._reason = "" if self._online else "no node of the DHT answers"
            log.info("swarm", state=name)
            if self._online:
                for endpoint in self._endpoints.values():
                    endpoint.announce_again()


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
    finally:
        await net.stop()
