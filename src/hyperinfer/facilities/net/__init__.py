"""The net port: connections, calls and events between identities, whoever carries them.

Bytes only: nothing here knows methods, JSON or roles. `memory` carries them inside one process, `hyperswarm`
adds everything outside it through the driver; a worker cannot tell the difference.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from hyperinfer.protocol.link_words import Whereabouts

MAX_MESSAGE_BYTES = 15 * 1024 * 1024
"""Largest payload of a call, reply or event; above 16 MB the channel of the official stack dies."""


@dataclass(frozen=True, slots=True)
class Identity:
    """An ed25519 key pair: what a worker is on the swarm. `public_key` and `seed` are 32 raw bytes."""

    public_key: bytes
    seed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Admission:
    """Who may connect to an endpoint: the keys listed, or everybody where `everyone` is said aloud."""

    keys: frozenset[bytes] = frozenset()
    everyone: bool = False

    def admits(self, public_key: bytes) -> bool:
        """Whether a peer with this key may open a connection."""
        return self.everyone or public_key in self.keys


NOBODY = Admission()


How = Literal["here", "direct", "punched", "relayed"]
"""How a connection was made: inside the process; to an address as it is; through a hole that was punched in routers; by way of
a third party."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkState:
    """One connection as it is now. `inbound` is one that the peer has made; bytes are those of the wire. What the routers of
    both sides do is known where a hole was punched by us; see `surroundings.Router`."""

    remote_key: bytes
    remote_host: str = ""
    inbound: bool
    how: How
    age_s: float
    round_trip_s: float | None = None
    sent_bytes: int = 0
    received_bytes: int = 0
    in_flight: int = 0
    router: str = ""
    remote_router: str = ""


class Link(Protocol):
    """One open, encrypted connection to a peer; both sides may call and send events on it."""

    @property
    def remote_key(self) -> bytes:
        """The peer's public key, proven by the handshake (32 bytes)."""

    @property
    def remote_host(self) -> str:
        """The address that the peer connected from; empty where we connected, and inside a process."""

    @property
    def closed(self) -> bool:
        """Whether the connection has ended."""

    async def request(self, method: str, payload: bytes, *, timeout_s: float) -> bytes:
        """Call a method and wait for its reply.

        Raises `UnknownMethod`, `PeerLost`, `DriverLost`, `DeadlineExceeded`, `TooLarge`, or `RemoteError` for a
        failure that the peer's RPC layer reports itself.
        """

    def event(self, method: str, payload: bytes) -> None:
        """Send a one-way message; it is dropped silently once the link is closed. Raises `TooLarge`."""

    @property
    def congested(self) -> bool:
        """Whether more has been sent than can leave this process now; `writable` then waits."""

    async def writable(self) -> None:
        """Wait until what was sent has left this process far enough to send more; returns at once if closed."""

    async def wait_closed(self) -> None:
        """Wait for the end of the connection."""

    def close(self) -> None:
        """End the connection; calls in flight fail with `PeerLost` on both sides."""


class Inbound(Protocol):
    """What an endpoint does with what its peers send."""

    async def on_request(self, link: Link, method: str, payload: bytes) -> bytes:
        """Answer a call. It is cancelled when the link ends. It does not raise but for a fault of ours."""

    def on_event(self, link: Link, method: str, payload: bytes) -> None:
        """Take a one-way message; must not block."""

    def on_open(self, link: Link) -> None:
        """A peer has connected."""

    def on_close(self, link: Link) -> None:
        """A link that was open has ended."""


class Endpoint(Protocol):
    """One identity in the net: it may listen, and connect, announce and look up under its own key."""

    @property
    def public_key(self) -> bytes:
        """This endpoint's public key (32 bytes)."""

    async def listen(self, inbound: Inbound, *, methods: Iterable[str], admission: Admission) -> None:
        """Accept connections from the keys admitted and pass on calls and events of these methods only."""

    async def admit(self, admission: Admission) -> None:
        """Replace who may connect; connections of peers no longer admitted are cut."""

    async def connect(self, public_key: bytes, inbound: Inbound, *, timeout_s: float) -> Link:
        """Open a connection under this identity; a key served in this process is reached directly.

        `inbound` takes the events that the peer sends back on it. Raises `PeerUnreachable`, `DeadlineExceeded`.
        """

    async def announce(self, topic: bytes) -> None:
        """Be found under a 32-byte topic until withdrawn; repeated in the background. Needs `listen` first."""

    async def withdraw(self, topic: bytes) -> None:
        """Stop being found under a topic."""

    async def lookup(self, topic: bytes) -> list[bytes]:
        """Public keys announced under a topic, those of this process first, without duplicates."""

    def links(self) -> Sequence[LinkState]:
        """Every open connection, ours and our peers', with figures as `measure` last found them."""

    async def measure(self) -> None:
        """Bring the figures of the connections up to date; what cannot be measured in time keeps those it had."""

    def on_end(self, listener: Callable[[LinkState], None]) -> None:
        """Be told of every connection that has ended, with its last figures."""

    def is_here(self, public_key: bytes) -> bool:
        """Whether that is another endpoint of this process: no driver and no wire is between the two."""

    async def whereabouts(self, public_key: bytes) -> Whereabouts:
        """What the DHT tells of a peer that was not reached. Takes seconds, and has a deadline."""

    async def close(self) -> None:
        """Withdraw all topics and end all connections."""


@dataclass(frozen=True, slots=True)
class NetStatus:
    """What the net can reach now: `state` is `local` (no driver), `online` or `offline`, with the reason.

    `router` is what stands between this machine and the DHT (`surroundings.Router`), `host` its address as nodes of the DHT
    see it, where they agree; `nodes` is how many it knows.
    """

    state: str
    reason: str = ""
    driver_restarts: int = 0
    router: str = ""
    host: str = ""
    nodes: int = 0

    @property
    def sentence(self) -> str:
        """The state, and the reason if there is one."""
        return f"{self.state}: {self.reason}" if self.reason else self.state


class Net(Protocol):
    """The one net object of a process; an async context manager of its implementation starts and ends it."""

    async def open(self, identity: Identity) -> Endpoint:
        """An endpoint for one identity; one per identity."""

    def status(self) -> NetStatus:
        """What the net can reach now."""
