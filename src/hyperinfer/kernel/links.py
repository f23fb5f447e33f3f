"""The links of one worker: how each member of the swarm is reached, and where one is not, why not and what helps."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

from hyperinfer.contracts.common import PeerLink, PeerLinks
from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.net import Endpoint, LinkState, NetStatus
from hyperinfer.facilities.net.peers import Failure, Peers
from hyperinfer.kernel.members import Members
from hyperinfer.kernel.swarm import SwarmKeys
from hyperinfer.protocol.link_words import NO_ANSWER, NOT_ANNOUNCED, NOT_TRIED, REFUSED, Sighting, Why, judged

TICK_S = 1.0
SIGHTED_S = 60.0
"""For so long it counts what the DHT told of a peer; then it is asked again, while the peer is out of reach."""
SILENT_S = 10.0
"""The same where it told of silence: one who refuses says so a moment later."""
MAX_ASKED = 4
"""Peers of which the DHT is asked at the same time."""
MAX_STRANGERS = 64
"""Connections of peers that are no members which are shown, the newest."""


class LinkTable:
    """What is known of the ways to the other members. `run` finds out more about those that were not reached."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        peers: Peers,
        members: Members,
        swarm: SwarmKeys,
        clock: Clock,
        net: Callable[[], NetStatus],
    ) -> None:
        self.endpoint = endpoint
        self.peers = peers
        self.members = members
        self.net = net
        self._swarm = swarm
        self._clock = clock
        self._sightings: OrderedDict[bytes, Sighting] = OrderedDict()

    async def refresh(self) -> None:
        """Measure the connections anew."""
        await self.endpoint.measure()

    def look(self) -> PeerLinks:
        """Every connection, and every member to which there is none. One of this process is reached, called or not."""
        net = self.net()
        states = self.endpoint.links()
        linked = {state.remote_key for state in states}
        names = self.members.names
        known = [self._linked(state) for state in states if state.remote_key in names]
        strangers = [state for state in states if state.remote_key not in names]
        newest = sorted(strangers, key=lambda state: state.age_s)[:MAX_STRANGERS]
        unlinked = [key for key in self.others if key not in linked]
        known += [self._beside(key) for key in unlinked if self.endpoint.is_here(key)]
        away = [self._away(key) for key in unlinked if not self.endpoint.is_here(key)]
        return PeerLinks(
            links=(*_in_order(known), *_in_order(away), *map(self._linked, newest)),
            strangers=len(strangers),
            router=net.router,
            address=net.host,
            swarm=net.sentence,
        )

    @property
    def others(self) -> Sequence[bytes]:
        """Every member but this worker itself, in an order that stays."""
        return sorted(self.members.keys - {self.endpoint.public_key})

    def why(self, key: bytes) -> Why | None:
        """Why there is no connection to a member; none where that was not tried."""
        failure, sighting = self.peers.failure(key), self._sightings.get(key)
        if failure is None and not self._is_missing(key):
            return None
        reason = failure.reason if failure else NOT_ANNOUNCED
        details = failure.error.details if failure else {}
        where = sighting.where if sighting else "unknown"
        if failure is None and where == "unknown":
            return None  # it was looked for under its role, and nobody has told yet whether it is there at all
        net = self.net()
        return judged(reason, where, details, net_trouble=net.reason if net.state == "offline" else "")

    async def run(self) -> None:
        """Ask the DHT of members that are out of reach, until cancelled."""
        while True:
            await self._clock.sleep(TICK_S)
            await self.ask()

    async def ask(self) -> None:
        """Ask it of a few of them, those of which it has not been asked lately."""
        wanted = list(self._unsighted())[:MAX_ASKED]
        await asyncio.gather(*map(self._sight, wanted))

    def _unsighted(self) -> Iterator[bytes]:
        linked = {state.remote_key for state in self.endpoint.links()}
        now = self._clock.monotonic()
        for key in tuple(self._sightings):
            if key in linked or key not in self.members.names:
                del self._sightings[key]
        for key in self.others:
            sighting = self._sightings.get(key)
            if key in linked or (sighting is not None and now - sighting.at < _lasting_s(sighting)):
                continue
            failure = self.peers.failure(key)
            if self._is_missing(key) if failure is None else failure.reason in _UNSURE:
                yield key

    async def _sight(self, key: bytes) -> None:
        where = await self.endpoint.whereabouts(key)
        before = self._sightings.get(key)
        since = before.since if before and before.where == where else self._clock.now()
        self._sightings[key] = Sighting(where, self._clock.monotonic(), since)

    def _is_missing(self, key: bytes) -> bool:
        """Whether it was looked for under its roles just now, and not found."""
        found = [self.peers.last_found(self._swarm.topic(role)) for role in self.members.roles(key)]
        return any(keys is not None for keys in found) and not any(key in keys for keys in found if keys is not None)

    def _linked(self, state: LinkState) -> PeerLink:
        key = state.remote_key
        return PeerLink(
            key=key.hex(),
            name=self.members.names.get(key, ""),
            roles=tuple(sorted(self.members.roles(key))),
            how=state.how,
            since=_stamp(self._clock.now() - timedelta(seconds=state.age_s)),
            round_trip_s=state.round_trip_s,
            sent_bytes=state.sent_bytes,
            received_bytes=state.received_bytes,
            inbound=state.inbound,
            router=state.router,
            remote_router=state.remote_router,
        )

    def _beside(self, key: bytes) -> PeerLink:
        return PeerLink(
            key=key.hex(), name=self.members.names[key], roles=tuple(sorted(self.members.roles(key))), how="here"
        )

    def _away(self, key: bytes) -> PeerLink:
        why, failure = self.why(key), self.peers.failure(key)
        details = failure.error.details if failure else {}
        return PeerLink(
            key=key.hex(),
            name=self.members.names.get(key, ""),
            roles=tuple(sorted(self.members.roles(key))),
            how="none",
            reason=why.reason if why else NOT_TRIED,
            trouble=why.trouble if why else "",
            do=why.do if why else "",
            since=self._since(key, failure) if why else None,
            next_try_s=max(0.0, round(failure.until - self._clock.monotonic(), 3)) if failure else None,
            router=details.get("router", ""),
            remote_router=details.get("remote_router", ""),
        )

    def _since(self, key: bytes, failure: Failure | None) -> str | None:
        if failure is not None:
            return _stamp(failure.since)
        sighting = self._sightings.get(key)
        return _stamp(sighting.since) if sighting else None


def _lasting_s(sighting: Sighting) -> float:
    return SILENT_S if sighting.where == "silent" else SIGHTED_S


_UNSURE = frozenset({REFUSED, NO_ANSWER})
"""Reasons that mean several things, which the DHT can tell apart."""


def _in_order(links: Sequence[PeerLink]) -> list[PeerLink]:
    return sorted(links, key=lambda link: (link.name, link.key, link.inbound))


def _stamp(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
