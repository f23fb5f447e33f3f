"""A gateway as somebody outside its swarm reaches it: found by a link, held against it before it is trusted, and waited for
while it is away."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

from hyperinfer.contracts.method import NO_META, Meta, Method, Reply, Request
from hyperinfer.errors import Draining, DriverLost, HyperinferError, PeerUnreachable, Unavailable, Untrusted
from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.net.peers import Peers
from hyperinfer.kernel.callers import PeerCaller
from hyperinfer.kernel.calls import Send
from hyperinfer.kernel.membership.introduction import introduced
from hyperinfer.kernel.swarm import SwarmKeys
from hyperinfer.protocol.links import GatewayLink, SwarmLink

ROLE = "gateway"
PROVEN_S = 600.0
"""How long an introduction is believed; a gateway that is none any more is held to no more than that."""
MAX_CANDIDATES = 16
"""So many of the keys that are found under a topic are looked at: anybody may announce one."""
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0


class LinkedGateway:
    """The contract of the gateway, or of any gateway of the swarm, that a link names.

    While none can be reached, a call waits for up to `wait_s`. Nothing is sent twice: a call that broke off after it was
    sent fails with `PeerLost`, and whoever made it decides.
    """

    def __init__(self, link: GatewayLink | SwarmLink, *, peers: Peers, clock: Clock, wait_s: float) -> None:
        self._link = link
        self._peers = peers
        self._clock = clock
        self._wait_s = wait_s
        self._proven: OrderedDict[bytes, float] = OrderedDict()
        self._refused: OrderedDict[bytes, float] = OrderedDict()

    async def call(
        self,
        method: Method[Request, Reply],
        request: Request,
        *,
        meta: Meta = NO_META,
        timeout_s: float = 30.0,
        sink: Send | None = None,
    ) -> Reply:
        """Call a method of the gateway. Raises `PeerUnreachable` if none could be reached in time, and what the method
        raises."""
        give_up = self._clock.monotonic() + min(self._wait_s, timeout_s)
        pause_s = FIRST_PAUSE_S
        while True:
            trouble: HyperinferError
            try:
                key = await self._reached(give_up)
                return await self._peers.call(key, method, request, meta=meta, timeout_s=timeout_s, sink=sink)
            except (PeerUnreachable, Draining) as error:  # neither has begun with it
                trouble = error
            left_s = give_up - self._clock.monotonic()
            if left_s <= pause_s:
                raise PeerUnreachable(
                    f"The gateway cannot be reached: {trouble.message}", retry_after_s=LONGEST_PAUSE_S
                ) from trouble
            await self._clock.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _reached(self, give_up: float) -> bytes:
        """The key of a gateway that is trusted and to which there is a link. Raises `PeerUnreachable`."""
        trouble: HyperinferError = PeerUnreachable("Nobody announces a gateway of this swarm now.")
        try:
            async with asyncio.timeout(max(0.0, give_up - self._clock.monotonic())):
                for key in await self._candidates():
                    try:
                        await self._peers.link(key)
                        await self._prove(key)
                    except (Unavailable, Untrusted) as error:
                        trouble = error
                    else:
                        return key
        except TimeoutError:
            trouble = PeerUnreachable("No connection came about in time.")
        except DriverLost as error:
            trouble = error
        raise PeerUnreachable(trouble.message) from trouble

    async def _candidates(self) -> Sequence[bytes]:
        """Keys to try, the one that was used last first."""
        if isinstance(self._link, GatewayLink):
            return (self._link.key,)
        found = await self._peers.find(SwarmKeys(self._link.swarm_key).topic(ROLE))
        now = self._clock.monotonic()
        known = [key for key in reversed(self._proven) if key in found]
        others = [key for key in found if key not in self._proven and self._refused.get(key, now) <= now]
        return (*known, *others)[:MAX_CANDIDATES]

    async def _prove(self, key: bytes) -> None:
        """Have a gateway introduce itself, unless it has lately or the link names its key. Raises as `introduced` does."""
        if isinstance(self._link, GatewayLink):
            return
        now = self._clock.monotonic()
        if self._proven.get(key, 0.0) <= now:
            try:
                await introduced(
                    PeerCaller(self._peers, key), key, root=self._link.root_key, role=ROLE, clock=self._clock
                )
            except Untrusted:
                self._proven.pop(key, None)
                _remember(self._refused, key, now + PROVEN_S)
                raise
            _remember(self._proven, key, now + PROVEN_S)
        self._proven.move_to_end(key)


def _remember(known: OrderedDict[bytes, float], key: bytes, until: float) -> None:
    known[key] = until
    while len(known) > MAX_CANDIDATES:
        known.popitem(last=False)
