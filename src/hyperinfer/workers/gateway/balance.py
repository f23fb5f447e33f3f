"""Which worker gets a request for a model, and how long a request waits for one to come back."""

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from random import Random
from typing import Protocol

from hyperinfer.errors import ModelNotFound, Unavailable
from hyperinfer.facilities.clock import Clock
from hyperinfer.protocol.routing import choose
from hyperinfer.workers.gateway.fleet import Offer

RETRY_AFTER_S = 2
"""When a client should come again, where nothing better is known."""
MODELS_NAMED = 20
"""How many models an error names at most."""


class Offers(Protocol):
    """What there is to choose from."""

    @property
    def offers(self) -> Mapping[str, Sequence[Offer]]:
        """What every worker has, by model."""

    @property
    def any_live(self) -> bool:
        """Whether some worker reports."""

    async def changed(self) -> None:
        """Wait until there is something else to choose from."""


class Balance:
    """Chooses among the offers of a model: ready, not broken, the less loaded of two."""

    def __init__(self, fleet: Offers, *, clock: Clock, default_model: str, wait_s: float, chance: Random) -> None:
        self._fleet = fleet
        self._clock = clock
        self._default_model = default_model
        self._wait_s = wait_s
        self._chance = chance

    @property
    def default_model(self) -> str | None:
        """The model that answers where none is named: the configured one, or the one with the most slots ready."""
        if self._default_model:
            return self._default_model
        slots = {
            name: sum(offer.status.slots for offer in offers if offer.ready)
            for name, offers in self._fleet.offers.items()
        }
        return min(slots, key=lambda name: (-slots[name], name)) if slots else None

    def choose_now(
        self, model: str, *, without: Collection[Offer] = (), needs: frozenset[str] = frozenset()
    ) -> Offer | None:
        """An offer of the model (of the default one for an empty name) that can take a request now, if there is one;
        `needs` are capabilities that it must have."""
        name = model or self.default_model
        if name is None:
            return None
        now = self._clock.monotonic()
        offers = self._fleet.offers.get(name, ())
        ready = [
            offer
            for offer in offers
            if offer.ready
            and offer.breaker.allows(now)
            and offer not in without
            and needs.issubset(offer.status.capabilities)
        ]
        return choose(ready, self._chance) if ready else None

    async def choose(
        self, model: str, *, without: Collection[Offer] = (), needs: frozenset[str] = frozenset()
    ) -> Offer:
        """The same, but while there is none, wait a moment for one to come back; then `without` may be taken again.

        Raises `ModelNotFound` naming what there is, and `Unavailable` saying when to come again.
        """
        offer = self.choose_now(model, without=without, needs=needs)
        if offer is not None:
            return offer
        try:
            async with asyncio.timeout(self._wait_s):
                while offer is None:
                    self._check_exists(model)
                    await self._fleet.changed()
                    offer = self.choose_now(model, needs=needs)
        except TimeoutError:
            # A breaker that closes tells nobody, and a worker that failed this request once is better than none.
            offer = self.choose_now(model, needs=needs)
        if offer is None:
            raise self._unavailable(model)
        return offer

    @contextmanager
    def taking(self, offer: Offer) -> Iterator[None]:
        """Count a request in at an offer for the length of the block."""
        offer.load_estimate.own += 1
        offer.breaker.began(self._clock.monotonic())
        try:
            yield
        finally:
            offer.load_estimate.own -= 1

    def _check_exists(self, model: str) -> None:
        """Raise `ModelNotFound` if workers are there and none has, or lately had, the model."""
        name = model or self.default_model
        if name is None or name in self._fleet.offers or not self._fleet.any_live:
            return
        there = sorted(self._fleet.offers)
        named = ", ".join(there[:MODELS_NAMED]) + (", …" if len(there) > MODELS_NAMED else "")
        raise ModelNotFound(
            f"No worker of this swarm has the model {name[:200]!r}. There is: {named}.", model=name[:200]
        )

    def _unavailable(self, model: str) -> Unavailable:
        name = model or self.default_model
        offers = self._fleet.offers.get(name, ()) if name else ()
        if any(offer.worker.live and offer.status.state == "loading" for offer in offers):
            return Unavailable(f"The model {name!r} is being loaded. Try again shortly.", retry_after_s=RETRY_AFTER_S)
        if any(offer.ready for offer in offers):
            now = self._clock.monotonic()
            wait_s = min(offer.breaker.opens_in_s(now) for offer in offers if offer.ready)
            return Unavailable(
                f"Every worker that has the model {name!r} has been failing. Try again shortly.",
                retry_after_s=max(wait_s, 1.0),
            )
        if not self._fleet.any_live:
            return Unavailable("No inference worker is connected now. Try again shortly.", retry_after_s=RETRY_AFTER_S)
        return Unavailable(
            f"No worker that has the model {name!r} is connected and ready now. Try again shortly.",
            retry_after_s=RETRY_AFTER_S,
        )
