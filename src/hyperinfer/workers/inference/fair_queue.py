"""A bounded queue that serves its users in turn, and those in a hurry before those who are not."""

from typing import Generic, TypeVar

from hyperinfer.contracts.inference import Priority
from hyperinfer.workers.inference.lanes import Lanes

BATCH_SHARE = 8
"""Of as many turns, and of as many places, one is for batch requests while any wait."""

T = TypeVar("T")


class Full(Exception):
    """There is no place for one more."""


class FairQueue(Generic[T]):
    """At most `limit` items. Interactive ones go first, but every eighth turn is a batch one's.

    Where it is full, a newcomer takes the place of the newest item of whoever has the most, if that is two more than the
    newcomer has: so nobody fills the queue for the others. Interactive newcomers take the places of batch items first, down
    to an eighth of the queue; up to that, batch newcomers compete with everybody.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lanes: dict[Priority, Lanes[T]] = {"interactive": Lanes(), "batch": Lanes()}
        self._since_batch = 0

    def __len__(self) -> int:
        return sum(map(len, self._lanes.values()))

    @property
    def limit(self) -> int:
        """How many may wait."""
        return self._limit

    def ahead(self, lane: str, priority: Priority) -> int:
        """How many have their turn before one who comes now, at most; those who come later not counted."""
        before = self._lanes[priority].ahead(lane)
        between = BATCH_SHARE - 1
        if priority == "interactive":
            return before + min(len(self._lanes["batch"]), (self._since_batch + before) // between)
        return before + min(len(self._lanes["interactive"]), (before + 1) * between - self._since_batch)

    def push(self, lane: str, item: T, priority: Priority) -> T | None:
        """Add an item at the end of its lane; gives the one that has lost its place to it. Raises `Full`."""
        lost = self._make_room(lane, priority) if len(self) >= self._limit else None
        self._lanes[priority].push(lane, item)
        return lost

    def pop(self) -> T:
        """Take the item whose turn it is. Raises `KeyError` if there is none."""
        interactive, batch = self._lanes["interactive"], self._lanes["batch"]
        is_batch_turn = not interactive or (batch and self._since_batch >= BATCH_SHARE - 1)
        self._since_batch = 0 if is_batch_turn or not batch else self._since_batch + 1
        return batch.pop() if is_batch_turn else interactive.pop()

    def served(self, lane: str, priority: Priority) -> None:
        """A user has had a turn without waiting."""
        self._lanes[priority].served(lane)

    def remove(self, lane: str, item: T, priority: Priority) -> None:
        """Take an item out wherever it stands; one that is gone already is passed over."""
        self._lanes[priority].remove(lane, item)

    def _make_room(self, lane: str, priority: Priority) -> T:
        own, batch = self._lanes[priority], self._lanes["batch"]
        kept_for_batch = self._limit // BATCH_SHARE
        if priority == "interactive" and len(batch) > kept_for_batch:
            return batch.drop_newest()
        fair = own.waiting(lane) + 2
        if own.longest >= fair:
            return own.drop_newest()
        if priority == "batch" and len(batch) < kept_for_batch and self._lanes["interactive"].longest >= fair:
            return self._lanes["interactive"].drop_newest()
        raise Full
