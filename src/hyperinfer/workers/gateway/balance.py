"""Which worker gets a request, and how long a request waits for one to come."""

import asyncio
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from random import Random

from hyperinfer.contracts.inference import Processed
from hyperinfer.errors import Unavailable
from hyperinfer.facilities import tracing
from hyperinfer.facilities.clock import Clock
from hyperinfer.protocol.pace import typical_s
from hyperinfer.protocol.routing import LoadEstimate, choose_fit, prefers
from hyperinfer.workers.gateway.affinity import Affinity, Conversations
from hyperinfer.workers.gateway.catalogue import Wanted
from hyperinfer.workers.gateway.needs import NO_NEEDS
from hyperinfer.workers.gateway.offers import IDLE, LOADING, READY, Offer, Offers

RETRY_AFTER_S = 2
"""When a client should come again, where nothing better is known."""


class Taken:
    """A request at an offer, from which its pace is learnt."""

    __slots__ = ("_clock", "_crowd", "_load", "_since")

    def __init__(self, load: LoadEstimate, clock: Clock) -> None:
        self._load = load
        self._clock = clock
        self._crowd = load.running
        self._since = clock.monotonic()

    def answered(self, processed: Processed) -> None:
        """It has been answered from beginning to end."""
        if processed.cache == "hit" or processed.duration_s <= 0:
            return
        now = self._clock.monotonic()
        seconds = typical_s(
            first_s=max(0.0, processed.first_token_s - processed.queued_s),
            later_s=processed.duration_s - processed.first_token_s,
            tokens=processed.usage.completion_tokens,
            way_s=max(0.0, now - self._since - processed.duration_s),
        )
        self._load.pace.answered(now, seconds, crowd=(self._crowd + self._load.running) / 2)


class Balance:
    """Chooses among the offers of the models that a request may be answered by: the first model that some worker has ready,
    else the first that one loads on demand; of its workers one that is not broken and has the conversation in its cache, or
    else the best of a few.

    `wait_s` is how long a request waits for a worker to come back, `loading_wait_s` for a model that is being loaded.
    """

    def __init__(self, fleet: Offers, *, clock: Clock, wait_s: float, loading_wait_s: float, chance: Random) -> None:
        self._fleet = fleet
        self._clock = clock
        self._wait_s = wait_s
        self._loading_wait_s = loading_wait_s
        self._chance = chance
        self._conversations = Conversations(clock)
        self.waiting = 0
        """Requests that wait for a worker to come."""

    def choose_now(
        self,
        wanted: Wanted,
        *,
        without: Collection[Offer] = (),
        needs: frozenset[str] = NO_NEEDS,
        affinity: Affinity | None = None,
    ) -> Offer | None:
        """An offer that can take a request now, if there is one; `needs` are capabilities that it must have."""
        names = wanted.names
        for state in (READY, IDLE):
            for name in names:
                offer = self._choose_of(name, state, without, needs, affinity)
                if offer is not None:
                    return offer
        return None

    async def choose(
        self,
        wanted: Wanted,
        *,
        without: Collection[Offer] = (),
        needs: frozenset[str] = NO_NEEDS,
        affinity: Affinity | None = None,
    ) -> Offer:
        """The same, but while there is none, wait a moment for one to come; then `without` may be taken again.

        Raises `ModelNotFound` naming what there is, and `Unavailable` saying when to come again.
        """
        offer = self.choose_now(wanted, without=without, needs=needs, affinity=affinity)
        if offer is not None:
            return offer
        self.waiting += 1
        try:
            with tracing.span("wait for a worker"):
                return await self._waited(wanted, needs, affinity)
        finally:
            self.waiting -= 1

    def some_can(self, wanted: Wanted, needs: frozenset[str]) -> bool:
        """Whether some worker, here now or not, has a model that can do all of this."""
        return any(
            needs.issubset(offer.status.capabilities)
            for name in wanted.names
            for offer in self._fleet.offers.get(name, ())
        )

    @contextmanager
    def taking(self, offer: Offer) -> Iterator["Taken"]:
        """Count a request in at an offer for the length of the block."""
        load, breaker = offer.load_estimate, offer.breaker
        load.own += 1
        is_probe = breaker.is_open
        breaker.began(self._clock.monotonic())
        try:
            yield Taken(load, self._clock)
        finally:
            load.own -= 1
            if is_probe and not breaker.is_open:
                load.since = self._clock.monotonic()  # it is well again, and gets no flood at once

    def answered(self, offer: Offer, affinity: Affinity) -> None:
        """An offer has all of a conversation in its cache now."""
        if len(self._fleet.offers.get(offer.status.name, ())) > 1:
            self._conversations.answered(offer, affinity)

    async def _waited(self, wanted: Wanted, needs: frozenset[str], affinity: Affinity | None) -> Offer:
        offer: Offer | None = None
        began_at = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self._wait_s) as waiting:
                while offer is None:
                    self._check_exists(wanted)
                    if self._is_loading(wanted.names):
                        waiting.reschedule(began_at + max(self._wait_s, self._loading_wait_s))
                    await self._fleet.changed()
                    offer = self.choose_now(wanted, needs=needs, affinity=affinity)
        except TimeoutError:
            # A breaker that closes tells nobody, and a worker that failed this request once is better than none.
            offer = self.choose_now(wanted, needs=needs, affinity=affinity)
        if offer is None:
            raise self._unavailable(wanted.names)
        return offer

    def _choose_of(
        self, name: str, state: str, without: Collection[Offer], needs: frozenset[str], affinity: Affinity | None
    ) -> Offer | None:
        offers = self._fleet.offers.get(name, ())
        now = self._clock.monotonic()

        def fits(offer: Offer) -> bool:
            return (
                offer.status.state == state
                and offer.worker.takes_requests
                and offer.breaker.allows(now)
                and offer not in without
                and (not needs or needs.issubset(offer.status.capabilities))
            )

        chosen = choose_fit(offers, fits, self._chance, now)
        if chosen is None or affinity is None or len(offers) < 2:
            return chosen
        known = self._conversations.find(name, affinity)
        if known is not None and fits(known) and prefers(known, chosen, now):
            return known
        return chosen

    def _check_exists(self, wanted: Wanted) -> None:
        """Raise `ModelNotFound` if workers are there and none has, or lately had, any of the models; where no model is named, if they
        have some and none is for such a request."""
        names, offers = wanted.names, self._fleet.offers
        can_come = any(name in offers for name in names) if names else not offers
        if self._fleet.any_live and not can_come:
            raise wanted.not_found()

    def _is_loading(self, names: Sequence[str]) -> bool:
        return any(
            offer.worker.takes_requests and offer.status.state == LOADING
            for name in names
            for offer in self._fleet.offers.get(name, ())
        )

    def _unavailable(self, names: Sequence[str]) -> Unavailable:
        offers = [offer for name in names for offer in self._fleet.offers.get(name, ())]
        named = repr(names[0]) if names else "asked for"
        broken = [offer for offer in offers if offer.usable and offer.breaker.is_open]
        if self._is_loading(names):
            return Unavailable(f"The model {named} is being loaded. Try again shortly.", retry_after_s=RETRY_AFTER_S)
        if broken:
            now = self._clock.monotonic()
            wait_s = min(offer.breaker.opens_in_s(now) for offer in broken)
            return Unavailable(
                f"Every worker that has the model {named} has been failing. Try again shortly.",
                retry_after_s=max(wait_s, 1.0),
            )
        if not self._fleet.any_live:
            return Unavailable("No inference worker is connected now. Try again shortly.", retry_after_s=RETRY_AFTER_S)
        return Unavailable(
            f"No worker that has the model {named} is connected and ready now. Try again shortly.",
            retry_after_s=RETRY_AFTER_S,
        )
