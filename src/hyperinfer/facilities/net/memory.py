"""The net inside one process: links between its endpoints, with the same admission and bounds as over the wire."""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from hyperinfer.errors import (
    Conflict,
    DeadlineExceeded,
    PeerLost,
    PeerUnreachable,
    TooLarge,
    UnknownMethod,
)
from hyperinfer.facilities.net import (
    MAX_MESSAGE_BYTES,
    NOBODY,
    Admission,
    Identity,
    Inbound,
    LinkState,
    NetStatus,
)
from hyperinfer.protocol.link_words import Whereabouts

MAX_ANSWERING = 4096
"""Calls that one link may have waiting for an answer."""


class MemoryLink:
    """One side of a connection inside the process; what it sends, its other side is given in the next turn."""

    def __init__(self, own_key: bytes, remote_key: bytes, inbound: Inbound) -> None:
        self._own_key = own_key
        self._remote_key = remote_key
        self._inbound = inbound
        self._methods: frozenset[str] | None = None
        self._other: MemoryLink | None = None
        self._closed = asyncio.Event()
        self._answering: set[asyncio.Task[bytes]] = set()
        self._opened_at = asyncio.get_running_loop().time()
        self.when_closed: Callable[[MemoryLink], None] = _nothing

    @property
    def remote_key(self) -> bytes:
        """The other side's public key."""
        return self._remote_key

    @property
    def remote_host(self) -> str:
        """This process has no address to itself."""
        return ""

    @property
    def closed(self) -> bool:
        """Whether the connection has ended."""
        return self._closed.is_set()

    async def request(self, method: str, payload: bytes, *, timeout_s: float) -> bytes:
        """Call a method of the other side."""
        other = self._open_side()
        check_size(payload)
        if not other.knows(method):
            raise UnknownMethod(f"The peer has no method {method!r}.")
        if len(other._answering) >= MAX_ANSWERING:
            raise PeerLost("Too many calls wait for an answer on this link.")
        task = asyncio.ensure_future(other._inbound.on_request(other, method, payload))
        other._answering.add(task)
        task.add_done_callback(other._answering.discard)
        try:
            async with asyncio.timeout(timeout_s):
                return check_size(await asyncio.shield(task))
        except TimeoutError as error:
            raise DeadlineExceeded(f"{method} was not answered within {timeout_s:g} s.") from error
        except asyncio.CancelledError:
            if task.cancelled():
                raise PeerLost("The peer has gone.") from None
            raise

    def event(self, method: str, payload: bytes) -> None:
        """Send a one-way message."""
        check_size(payload)
        if self._other is not None and not self.closed:
            asyncio.get_running_loop().call_soon(self._other._deliver, method, payload)

    @property
    def congested(self) -> bool:
        """Memory never is; credit bounds what streams have under way."""
        return False

    async def writable(self) -> None:
        """Memory always is; credit bounds what streams have under way."""

    async def wait_closed(self) -> None:
        """Wait for the end of the connection."""
        await self._closed.wait()

    def close(self) -> None:
        """End the connection for both sides; what is being answered is cancelled."""
        if self.closed:
            return
        self._closed.set()
        for task in self._answering:
            task.cancel()
        self.when_closed(self)
        self._inbound.on_close(self)
        if self._other is not None:
            self._other.close()

    def state(self) -> LinkState:
        """What is known of it now: nothing is counted that never leaves the process."""
        age_s = asyncio.get_running_loop().time() - self._opened_at
        is_inbound = self._methods is not None
        answering = self._other._answering if self._other is not None else ()
        return LinkState(
            remote_key=self._remote_key, inbound=is_inbound, how="here", age_s=age_s, in_flight=len(answering)
        )

    def knows(self, method: str) -> bool:
        """Whether this side takes calls and events of that name; a side that connected takes all."""
        return self._methods is None or method in self._methods

    def _deliver(self, method: str, payload: bytes) -> None:
        if not self.closed and self.knows(method):
            self._inbound.on_event(self, method, payload)

    def _open_side(self) -> "MemoryLink":
        if self._other is None or self.closed:
            raise PeerLost("The connection to the peer has ended.")
        return self._other


def _nothing(link: MemoryLink) -> None:
    """Nobody keeps count of this link."""


def tell_nobody(state: LinkState) -> None:
    """Nobody asked to be told of connections that end."""


def pair(
    client_key: bytes, client: Inbound, server_key: bytes, server: Inbound, methods: frozenset[str]
) -> tuple[MemoryLink, MemoryLink]:
    """Both sides of a new connection."""
    near, far = MemoryLink(client_key, server_key, client), MemoryLink(server_key, client_key, server)
    near._other, far._other = far, near
    far._methods = methods
    return near, far


def check_size(payload: bytes) -> bytes:
    """The payload, if it may be sent. Raises `TooLarge`."""
    if len(payload) > MAX_MESSAGE_BYTES:
        raise TooLarge(
            f"A message may hold {MAX_MESSAGE_BYTES} bytes; this has {len(payload)}.", limit_bytes=MAX_MESSAGE_BYTES
        )
    return payload


class MemoryEndpoint:
    """One identity of this process."""

    def __init__(self, hub: "MemoryNet", identity: Identity) -> None:
        self._hub = hub
        self._identity = identity
        self._inbound: Inbound | None = None
        self._methods: frozenset[str] = frozenset()
        self._admission: Admission = NOBODY
        self._links: set[MemoryLink] = set()
        self._tell_end: Callable[[LinkState], None] = tell_nobody

    @property
    def public_key(self) -> bytes:
        """This endpoint's public key."""
        return self._identity.public_key

    async def listen(self, inbound: Inbound, *, methods: Iterable[str], admission: Admission) -> None:
        """Accept connections of the other endpoints here."""
        self._inbound = inbound
        self._methods = frozenset(methods)
        self._admission = admission

    async def admit(self, admission: Admission) -> None:
        """Replace who may connect, and cut whoever no longer may."""
        self._admission = admission
        for link in tuple(self._links):
            if link._methods is not None and not admission.admits(link.remote_key):
                link.close()

    async def connect(self, public_key: bytes, inbound: Inbound, *, timeout_s: float) -> MemoryLink:
        """Open a connection to another endpoint of this process."""
        return self._hub.connect(self, public_key, inbound)

    async def announce(self, topic: bytes) -> None:
        """Be found under a topic."""
        self._hub.topics.setdefault(topic, {})[self.public_key] = None

    async def withdraw(self, topic: bytes) -> None:
        """Stop being found under a topic."""
        self._hub.topics.get(topic, {}).pop(self.public_key, None)

    async def lookup(self, topic: bytes) -> list[bytes]:
        """Who is found under a topic."""
        return list(self._hub.topics.get(topic, {}))

    def links(self) -> Sequence[LinkState]:
        """Every open connection."""
        return [link.state() for link in self._links]

    async def measure(self) -> None:
        """There is nothing to measure."""

    def on_end(self, listener: Callable[[LinkState], None]) -> None:
        """Be told of every connection that has ended."""
        self._tell_end = listener

    def is_here(self, public_key: bytes) -> bool:
        """Whether that is another endpoint of this process."""
        return public_key in self._hub.endpoints

    async def whereabouts(self, public_key: bytes) -> Whereabouts:
        """Here, or nowhere."""
        return "here" if self.is_here(public_key) else "absent"

    async def close(self) -> None:
        """Withdraw all topics and end all connections."""
        for topic in self._hub.topics.values():
            topic.pop(self.public_key, None)
        for link in tuple(self._links):
            link.close()
        self._inbound = None
        self._hub.endpoints.pop(self.public_key, None)

    def _closed(self, link: MemoryLink) -> None:
        self._links.discard(link)
        self._tell_end(link.state())

    def accept(self, client: "MemoryEndpoint", inbound: Inbound) -> MemoryLink:
        """The client's side of a new connection to this endpoint. Raises `PeerUnreachable` if it is refused."""
        if self._inbound is None or not self._admission.admits(client.public_key):
            message = "The peer cannot be reached: it is not listening, or it does not admit this key."
            raise PeerUnreachable(message, reason="refused")
        near, far = pair(client.public_key, inbound, self.public_key, self._inbound, self._methods)
        for owner, link in ((client, near), (self, far)):
            owner._links.add(link)
            link.when_closed = owner._closed
        self._inbound.on_open(far)
        inbound.on_open(near)
        return near


class MemoryNet:
    """The net object of a process without a driver; also the part of every other that serves the process itself."""

    def __init__(self) -> None:
        self.endpoints: dict[bytes, MemoryEndpoint] = {}
        self.topics: dict[bytes, dict[bytes, None]] = {}

    async def open(self, identity: Identity) -> MemoryEndpoint:
        """An endpoint for one identity. Raises `Conflict` if it is open already."""
        if identity.public_key in self.endpoints:
            raise Conflict("This identity is open in this process already.")
        endpoint = self.endpoints[identity.public_key] = MemoryEndpoint(self, identity)
        return endpoint

    def connect(self, client: MemoryEndpoint, public_key: bytes, inbound: Inbound) -> MemoryLink:
        """Connect two endpoints of this process. Raises `PeerUnreachable` for a key that is not here."""
        server = self.endpoints.get(public_key)
        if server is None:
            message = "The peer cannot be reached: no worker of this process has its key."
            raise PeerUnreachable(message, reason="offline")
        return server.accept(client, inbound)

    def status(self) -> NetStatus:
        """No driver: this process alone."""
        return NetStatus("local")
