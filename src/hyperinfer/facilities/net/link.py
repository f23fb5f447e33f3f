"""A link through the driver: calls by id, events, and back-pressure."""

import asyncio
import itertools

from hyperinfer.errors import (
    DeadlineExceeded,
    HyperinferError,
    PeerLost,
    RemoteError,
    UnknownMethod,
)
from hyperinfer.facilities.net import Inbound
from hyperinfer.facilities.net.driver.process import MAX_ID, DriverProcess
from hyperinfer.facilities.net.memory import MAX_ANSWERING, check_size
from hyperinfer.protocol.frames import Op

SWEEP_S = 0.05
"""How late a call may notice that its time has passed."""

Links = dict[int, "DriverLink"]


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
        remote_host: str = "",
    ) -> None:
        self._driver = driver
        self._links = links
        self._handle = handle
        self._remote_key = remote_key
        self._remote_host = remote_host
        self._inbound = inbound
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._deadlines: dict[int, float] = {}
        self._sweeping = False
        self._answering: set[asyncio.Task[None]] = set()
        self._closed = asyncio.Event()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._opened = False
        links[handle] = self

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
        self._opened = True
        self._inbound.on_open(self)

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
        self._driver.send(Op.REQUEST, call_id, self._handle, method, payload)
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
            self._driver.send(Op.EVENT, 0, self._handle, method, payload)

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
            self._driver.send(Op.CLOSE, 0, self._handle)
            self.lost(PeerLost("The connection to the peer was closed."))

    def lost(self, error: HyperinferError) -> None:
        """The connection has ended: calls in flight fail with the error, and those being answered are cancelled."""
        if self.closed:
            return
        self._closed.set()
        self._flowing.set()
        self._links.pop(self._handle, None)
        for reply in self._waiting.values():
            if not reply.done():
                reply.set_exception(error)
        for task in self._answering:
            task.cancel()
        if self._opened:
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
            self._driver.send(Op.ERROR, call_id, self._handle, "too many calls wait for an answer on this connection")
            return
        task = asyncio.create_task(self._run(call_id, method, payload))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _run(self, call_id: int, method: str, payload: bytes) -> None:
        try:
            reply = check_size(await self._inbound.on_request(self, method, payload))
        except HyperinferError as error:
            self._driver.send(Op.ERROR, call_id, self._handle, error.message)
            return
        if self.congested:
            await self.writable()
        if not self.closed:
            self._driver.send(Op.RESULT, call_id, self._handle, "", reply)
