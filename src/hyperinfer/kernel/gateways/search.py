"""Where gateways may be found, and which of those that are found can be trusted: by its own key, by what the root key has signed,
or by the member list."""

from collections import OrderedDict
from collections.abc import Container, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

from hyperinfer.errors import DeadlineExceeded, HyperinferError, PeerUnreachable, Unavailable, Untrusted
from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.net.peers import Peers
from hyperinfer.kernel.callers import PeerCaller
from hyperinfer.kernel.members import Members
from hyperinfer.kernel.membership.introduction import introduced
from hyperinfer.kernel.swarm import SwarmKeys
from hyperinfer.protocol.links import SCHEME, GatewayLink, SwarmLink

ROLE = "gateway"
PROVEN_S = 600.0
"""How long an introduction is believed; a gateway that is none any more is held to no more than that."""
REFUSED_S = 60.0
"""How long who could not prove to be a gateway is left alone: one whose certificate is late is none for that long."""
MAX_CANDIDATES = 16
"""So many of the keys that are found under a topic are looked at: anybody may announce one."""
SHOWN = 12
NOBODY = "Nobody announces to be one now."


@dataclass(frozen=True, slots=True)
class OwnSwarm:
    """Any gateway of the swarm that this machine belongs to: its member list says which they are."""

    keys: SwarmKeys
    members: Members


Place = GatewayLink | SwarmLink | OwnSwarm
"""Where to look for a gateway."""

_chance = Random()
"""Our own: what others seed is not to be moved by us, nor the other way round."""


class Search(Protocol):
    """One way to find gateways, and to tell that they are."""

    async def candidates(self) -> Sequence[bytes]:
        """Keys to try, looked up anew. Raises the errors of the net, and `Untrusted` where there are impostors only."""

    def trusts(self, key: bytes) -> bool:
        """Whether this key is known to be a gateway's, without asking anybody."""

    async def prove(self, key: bytes) -> None:
        """Have a peer prove that it is a gateway. Raises `Untrusted`, and the errors of the net."""


def search_of(place: Place, *, peers: Peers, clock: Clock) -> Search:
    """How to search a place."""
    if isinstance(place, GatewayLink):
        return _Pinned(place)
    if isinstance(place, SwarmLink):
        return _Introduced(place, peers, clock)
    return _Admitted(place, peers)


def name_of(place: Place) -> str:
    """What a sentence calls it."""
    if isinstance(place, GatewayLink):
        return f"The gateway {SCHEME}{place.key.hex()[:SHOWN]}…"
    if isinstance(place, SwarmLink):
        return f"A gateway of the swarm {place.root_key.hex()[:SHOWN]}…"
    return "A gateway of this machine's swarm"


class _Pinned:
    """One gateway, whose key the handshake proves."""

    def __init__(self, link: GatewayLink) -> None:
        self._key = link.key

    async def candidates(self) -> Sequence[bytes]:
        """The one."""
        return (self._key,)

    def trusts(self, key: bytes) -> bool:
        """Only the one."""
        return key == self._key

    async def prove(self, key: bytes) -> None:
        """There is nothing to ask it."""
        if not self.trusts(key):
            raise Untrusted("This is another peer.")


class _Introduced:
    """Whoever announces the topic and can show a certificate under the root key."""

    def __init__(self, link: SwarmLink, peers: Peers, clock: Clock) -> None:
        self._root_key = link.root_key
        self._topic = SwarmKeys(link.swarm_key).topic(ROLE)
        self._peers = peers
        self._clock = clock
        self._proven: OrderedDict[bytes, float] = OrderedDict()
        self._refused: OrderedDict[bytes, float] = OrderedDict()

    async def candidates(self) -> Sequence[bytes]:
        """Who has proven itself before, then the others in any order."""
        found = await _announcing(self._peers, self._topic)
        now = self._clock.monotonic()
        left = [key for key in found if self._refused.get(key, now) <= now]
        if not left:
            raise Untrusted("Whoever announces to be one cannot prove it.")
        return _mixed(left, first=self._proven)

    def trusts(self, key: bytes) -> bool:
        """Whether it has introduced itself lately."""
        return self._proven.get(key, 0.0) > self._clock.monotonic()

    async def prove(self, key: bytes) -> None:
        """Have it introduce itself."""
        caller = PeerCaller(self._peers, key)
        try:
            await introduced(caller, key, root=self._root_key, role=ROLE, clock=self._clock)
        except (Unavailable, DeadlineExceeded):  # it is away, which proves nothing
            raise
        except HyperinferError as error:
            self._proven.pop(key, None)
            _remember(self._refused, key, self._clock.monotonic() + REFUSED_S)
            raise Untrusted("Who announces to be one cannot prove it.") from error
        _remember(self._proven, key, self._clock.monotonic() + PROVEN_S)


class _Admitted:
    """Whoever announces the topic and is a gateway by the member list."""

    def __init__(self, swarm: OwnSwarm, peers: Peers) -> None:
        self._members = swarm.members
        self._topic = swarm.keys.topic(ROLE)
        self._peers = peers

    async def candidates(self) -> Sequence[bytes]:
        """The gateways among who announces."""
        trusted = [key for key in await _announcing(self._peers, self._topic) if self.trusts(key)]
        if not trusted:
            raise PeerUnreachable(NOBODY)
        return _mixed(trusted)

    def trusts(self, key: bytes) -> bool:
        """Whether the list says so now."""
        return ROLE in self._members.roles(key)

    async def prove(self, key: bytes) -> None:
        """The list is the proof."""
        if not self.trusts(key):
            raise Untrusted("This peer is no gateway of this swarm.")


async def _announcing(peers: Peers, topic: bytes) -> Sequence[bytes]:
    """Who announces a topic, and be it one alone. Raises `Unavailable` errors."""
    try:
        found = await peers.find_now(topic)
    except DeadlineExceeded as error:
        raise PeerUnreachable("The swarm gave no answer in time; is this machine online?") from error
    if not found:
        raise PeerUnreachable(NOBODY)
    return found


def _mixed(keys: Sequence[bytes], *, first: Container[bytes] = ()) -> Sequence[bytes]:
    """Keys in an order that is another one each time, so that clients spread; those that are to come first do."""
    mixed = _chance.sample(keys, len(keys))
    known = [key for key in mixed if key in first]
    return (*known, *(key for key in mixed if key not in known))[:MAX_CANDIDATES]


def _remember(known: OrderedDict[bytes, float], key: bytes, until: float) -> None:
    known[key] = until
    known.move_to_end(key)
    while len(known) > MAX_CANDIDATES:
        known.popitem(last=False)
