"""Lanes that take turns: one for each user, and within a lane the oldest goes first. Every step takes constant time."""

from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")


class Lanes(Generic[T]):
    """Items in lanes that stand in a circle. Who waits for nothing yet joins ahead of the lane that was served last, so
    that its first item waits for one turn of each of the others at most."""

    def __init__(self) -> None:
        self._circle: OrderedDict[str, OrderedDict[T, None]] = OrderedDict()
        self._by_length: dict[int, OrderedDict[str, None]] = {}
        self._longest = 0
        self._size = 0
        self._served = ""

    def __len__(self) -> int:
        return self._size

    @property
    def longest(self) -> int:
        """How many items wait in the longest lane."""
        return self._longest

    def waiting(self, lane: str) -> int:
        """How many items wait in a lane."""
        return len(self._circle.get(lane, ()))

    def ahead(self, lane: str) -> int:
        """How many turns others have, at most, before an item that is pushed now; those who come later not counted."""
        own = self.waiting(lane)
        others = len(self._circle) - (own > 0)
        return min(self._size, own + (own + 1) * others)

    def push(self, lane: str, item: T) -> None:
        """Add an item at the end of a lane."""
        items = self._circle.get(lane)
        if items is None:
            items = self._circle[lane] = OrderedDict()
            if self._served in self._circle and self._served != lane:
                self._circle.move_to_end(self._served)
        items[item] = None
        self._size += 1
        self._count(lane, len(items) - 1, len(items))

    def pop(self) -> T:
        """Take the item whose turn it is. Raises `KeyError` if there is none."""
        lane, items = self._circle.popitem(last=False)
        self._served = lane
        if len(items) > 1:
            self._circle[lane] = items
        item, _ = items.popitem(last=False)
        self._shrunk(lane, len(items))
        return item

    def served(self, lane: str) -> None:
        """A user has had a turn without waiting."""
        self._served = lane

    def drop_newest(self) -> T:
        """Take out the item that came last in the longest lane. Raises `KeyError` if there is none."""
        lane = next(reversed(self._by_length[self._longest]))
        items = self._circle[lane]
        item, _ = items.popitem(last=True)
        self._left(lane, items)
        return item

    def remove(self, lane: str, item: T) -> bool:
        """Take an item out wherever it stands; says whether it was there."""
        items = self._circle.get(lane)
        if items is None or item not in items:
            return False
        del items[item]
        self._left(lane, items)
        return True

    def _left(self, lane: str, items: OrderedDict[T, None]) -> None:
        if not items:
            del self._circle[lane]
        self._shrunk(lane, len(items))

    def _shrunk(self, lane: str, now: int) -> None:
        self._size -= 1
        self._count(lane, now + 1, now)

    def _count(self, lane: str, before: int, now: int) -> None:
        """A lane has become longer or shorter by one."""
        if before:
            same = self._by_length[before]
            del same[lane]
            if not same:
                del self._by_length[before]
        if now:
            self._by_length.setdefault(now, OrderedDict())[lane] = None
        longest_shrank = before == self._longest and before not in self._by_length
        if now > self._longest or longest_shrank:
            self._longest = now
