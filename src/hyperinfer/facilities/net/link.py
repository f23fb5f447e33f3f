"""A link through the driver: calls by id, events, and back-pressure."""

import asyncio
import itertools
import struct
from collections.abc import Callable
from dataclasses import dataclass

from hyperinfer.errors import (
    DeadlineExceeded,
    HyperinferError,
    PeerLost,
    RemoteError,
    UnknownMethod,
)
from hyperinfer.facilities.net import How, Inbound, LinkState
from hyperinfer.facilities.net.driver.process import MAX_ID, DriverProcess
from hyperinfer.facilities.net.memory import MAX_ANSWERING, check_size
from hyperinfer.protocol.frames import Op

SWEEP_S = 0.05
"""How late a call may notice that its time has passed."""

CARRIED = struct.Struct("<QQ")
"""Bytes sent and received, told at the end of a connection."""


class Links:
    """The connections of one driver, by handle. `on_end` is told of each that was open and has ended, once all is known of it."""

    def __init__(self, on_end: Callable[["DriverLink"], None]) -> None:
        self._on_end = on_end
        self._open: dict[int, DriverLink] = {}
        self._ending: dict[int, DriverLink] = {}

    def of(self, endpoint: int) -> "list[DriverLink]":
        """Those of an endpoint that are open."""
        return [link for link in self._open.values() if link.endpoint == endpoint and link.is_open]

    def get(self, handle: int) -> "DriverLink | None":
        """One that has not ended."""
        return self._open.get(handle)

    def add(self, link: "DriverLink") -> None:
        """One that opens."""
        self._open[link.handle] = link

    def remove(self, link: "DriverLink", *, is_told: bool) -> None:
        """One that has ended; unless the driver said so, it has still to tell what went over it."""
        self._open.pop(link.handle, None)
        if not link.has_opened:
            return
        if is_told:
            self._on_end(link)
        else:
            self._ending[link.handle] = link

    def told(self, handle: int, payload: bytes) -> None:
        """The driver says what went over one that we ended."""
        link = self._ending.pop(handle, None)
        if link is not None:
            link.carried(payload)
            self._on_end(link)

    def lose(self, error: HyperinferError) -> None:
        """The driver has gone, and all with it."""
        for link in tuple(self._open.values()):
            link.lost(error)
        ending, self._ending = self._ending, {}
        for link in ending.values():
            self._on_end(link)


@dataclass(slots=True)
class Figures:
    """What the driver told last of a connection."""

    how: How = "direct"
    round_trip_s: float | None = None
    sent_bytes: int = 0
    received_bytes: int = 0
    router: str = ""
    remote_router: str = ""


class DriverLink:
    """One open connection to a peer outside this process."""

    def __init__(
        self,
        driver: DriverProcess,
        links: Links,
        handle: int,
        remote_key: bytes,
        inbound: Inbound,
        *,
        endpoint: int,
        remote_host: str = "",
        is_inbound: bool = False,
    ) -> None:
        self._driver = driver
        self._links = links
        self.handle = handle
        self._remote_key = remote_key
        self._remote_host = remote_host
        self._is_inbound = is_inbound
        self.endpoint = endpoint
        self.figures = Figures()
        self._inbound = inbound
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._deadlines: dict[int, float] = {}
        self._sweeping = False
        self._answering: set[asyncio.Task[None]] = set()
        self._closed = asyncio.Event()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._opened_at: float | None = None
        links.add(self)

    @property
    def remote_key(self) -> bytes:
        """The peer's public key."""
        return self._remote_key

    @property
    def remote_host(self) -> str:
        """The address that the peer connected from."""
        return self._remote_host

    @property
    def closed(self) -> bool:
        """Whether the connection has ended."""
        return self._closed.is_set()

    def opened(self) -> None:
        """The connection is open."""
        self._opened_at = asyncio.get_running_loop().time()
        self._inbound.on_open(self)

    @property
    def has_opened(self) -> bool:
        """Whether it was ever open."""
        return self._opened_at is not None

    @property
    def is_open(self) -> bool:
        """Whether it has opened and not ended."""
        return self.has_opened and not self.closed

    def state(self) -> LinkState:
        """What is known of it now."""
        figures, now = self.figures, asyncio.get_running_loop().time()
        return LinkState(
            remote_key=self._remote_key,
            remote_host=self._remote_host,
            inbound=self._is_inbound,
            how=figures.how,
            age_s=now - self._opened_at if self._opened_at is not None else 0.0,
            round_trip_s=figures.round_trip_s,
            sent_bytes=figures.sent_bytes,
            received_bytes=figures.received_bytes,
            in_flight=len(self._waiting),
            router=figures.router,
            remote_router=figures.remote_router,
        )

    def carried(self, payload: bytes) -> None:
        """The driver told what went over it in all."""
        if len(payload) == CARRIED.size:
            self.figures.sent_bytes, self.figures.received_bytes = CARRIED.unpack(payload)

    async def request(self, method: str, payload: bytes, *, timeout_s: float) -> bytes:
        """Call a method of the peer."""
        check_size(payload)
        if self.closed:
            raise PeerLost("The connection to the peer has ended.")
        call_id = next(self._ids)
        if call_id > MAX_ID:
            self.close()
            raise PeerLost("This connection has run out of ids; the next call makes a new one.")
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[bytes] = loop.create_future()
        self._waiting[call_id] = reply
        self._deadlines[call_id] = loop.time() + timeout_s
        self._driver.send(Op.REQUEST, call_id, self.handle, method, payload)
        if not self._sweeping:
            self._sweeping = True
            loop.call_later(SWEEP_S, self._sweep, loop)
        try:
            return await reply
        finally:
            del self._waiting[call_id], self._deadlines[call_id]

    def event(self, method: str, payload: bytes) -> None:
        """Send a one-way message."""
        check_size(payload)
        if not self.closed:
            self._driver.send(Op.EVENT, 0, self.handle, method, payload)

    @property
    def congested(self) -> bool:
        """Whether the peer or the driver is behind with taking."""
        return not self.closed and (not self._flowing.is_set() or self._driver.congested)

    async def writable(self) -> None:
        """Wait until the peer, and the driver, take more."""
        while self.congested:
            await self._flowing.wait()
            await self._driver.writable()

    async def wait_closed(self) -> None:
        """Wait for the end of the connection."""
        await self._closed.wait()

    def close(self) -> None:
        """End the connection."""
        if not self.closed:
            self._driver.send(Op.CLOSE, 0, self.handle)
            self._end(PeerLost("The connection to the peer was closed."), is_told=self._driver.ended)

    def lost(self, error: HyperinferError) -> None:
        """The connection has ended: calls in flight fail with the error, and those being answered are cancelled."""
        if not self.closed:
            self._end(error, is_told=True)

    def _end(self, error: HyperinferError, *, is_told: bool) -> None:
        self._closed.set()
        self._flowing.set()
        self._links.remove(self, is_told=is_told)
        for reply in self._waiting.values():
            if not reply.done():
                reply.set_exception(error)
        for task in self._answering:
            task.cancel()
        if self.has_opened:
            self._inbound.on_close(self)

    # --- what the driver sends ------------------------------------------------------------------------------

    def take(self, op: int, call_id: int, name: str, payload: bytes) -> bool:
        """Take a frame for this link; says whether it was one."""
        if op == Op.RESULT:
            self._reply(call_id, payload)
        elif op == Op.EVENT:
            self._inbound.on_event(self, name, payload)
        elif op == Op.REQUEST:
            self._answer(call_id, name, payload)
        elif op == Op.ERROR:
            self._fail(call_id, name, payload)
        elif op == Op.PAUSE:
            self._flowing.clear()
        elif op == Op.RESUME:
            self._flowing.set()
        elif op == Op.LINK_CLOSED:
            self.carried(payload)
            self.lost(PeerLost("The connection to the peer was lost with this call in flight."))
        else:
            return False
        return True

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """End the calls whose time has passed. One timer for all of them: one for each would cost more than the call."""
        self._sweeping = bool(self._deadlines)
        now = loop.time()
        for call_id, deadline in self._deadlines.items():
            reply = self._waiting[call_id]
            if deadline <= now and not reply.done():
                reply.set_exception(DeadlineExceeded("The peer did not answer within the time allowed."))
        if self._sweeping:
            loop.call_later(SWEEP_S, self._sweep, loop)

    def _reply(self, call_id: int, payload: bytes) -> None:
        reply = self._waiting.get(call_id)
        if reply is not None and not reply.done():
            reply.set_result(payload)

    def _fail(self, call_id: int, code: str, payload: bytes) -> None:
        reply = self._waiting.get(call_id)
        if reply is None or reply.done():
            return
        message = payload.decode(errors="replace")
        if code == "UNKNOWN_METHOD":
            reply.set_exception(UnknownMethod("The peer has no such method."))
        else:
            reply.set_exception(RemoteError(f"The peer failed: {message}", remote_code=code))

    def _answer(self, call_id: int, method: str, payload: bytes) -> None:
        if len(self._answering) >= MAX_ANSWERING:
            if self.congested:
                self.close()  # it asks on and on, and does not read what it is told
                return
            self._driver.send(Op.ERROR, call_id, self.handle, "too many calls wait for an answer on this connection")
            return
        task = asyncio.create_task(self._run(call_id, method, payload))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _run(self, call_id: int, method: str, payload: bytes) -> None:
        try:
            reply = check_size(await self._inbound.on_request(self, method, payload))
        except HyperinferError as error:
            self._driver.send(Op.ERROR, call_id, self.handle, error.message)
            return
        if self.congested:
            await self.writable()
        if not self.closed:
            self._driver.send(Op.RESULT, call_id, self.handle, "", reply)
