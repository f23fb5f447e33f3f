"""The offers that a request is given to, one after the other: of the model that comes first, then of the next in line."""

from hyperinfer.errors import ContextExceeded, HyperinferError, Overloaded, Unsupported
from hyperinfer.workers.gateway.affinity import Affinity
from hyperinfer.workers.gateway.balance import Balance
from hyperinfer.workers.gateway.catalogue import Wanted
from hyperinfer.workers.gateway.needs import NO_NEEDS
from hyperinfer.workers.gateway.offers import Offer

OF_MODEL = (Unsupported, ContextExceeded)
"""Refusals that every worker of a model would repeat, and another model may not."""
STANDING = (Overloaded, *OF_MODEL)
"""Refusals that stand if no other worker is there now."""


class Line:
    """Offers for one request, as long as nothing of its answer has been said."""

    def __init__(self, balance: Balance, wanted: Wanted, needs: frozenset[str], affinity: Affinity) -> None:
        self._balance = balance
        self._wanted = wanted
        self._needs = needs
        self._affinity = affinity
        self._failed: list[Offer] = []
        self._attempts: dict[str, int] = {}
        self._done: set[str] = set()

    async def first(self) -> Offer:
        """The offer to begin with. Raises `ModelNotFound`, `Unavailable`."""
        offer = self._now()
        if offer is not None:
            return offer
        if not self._balance.some_can(self._wanted, self._needs):
            self._needs = NO_NEEDS  # so that a worker says what it is that nobody can
        return await self._balance.choose(self._wanted, needs=self._needs, affinity=self._affinity)

    def goes_on(self, offer: Offer, *, done: bool, retries: int) -> bool:
        """Take note of a failed attempt; whether there may be another. A model gets so many `retries`, none if it is `done`,
        and then the next in line is tried."""
        name = offer.status.name
        self._failed.append(offer)
        attempts = self._attempts[name] = self._attempts.get(name, 0) + 1
        if done or attempts > retries:
            self._done.add(name)
            self._wanted = self._wanted.without(self._done)
        return bool(self._wanted.names)

    async def other(self, error: HyperinferError) -> Offer:
        """An offer for another attempt; if there is none, some refusals stand, and otherwise one is waited for."""
        other = self._now()
        if other is not None:
            return other
        if isinstance(error, STANDING):
            raise error
        return await self._balance.choose(
            self._wanted, without=self._failed, needs=self._needs, affinity=self._affinity
        )

    def answered(self, offer: Offer) -> None:
        """An offer has answered it."""
        self._balance.answered(offer, self._affinity)

    def _now(self) -> Offer | None:
        return self._balance.choose_now(self._wanted, without=self._failed, needs=self._needs, affinity=self._affinity)
