"""A queue that serves its users in turn, so that one with many requests does not make the others wait for all of them."""

from collections import OrderedDict, deque
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """Items in lanes, one for each user; lanes take turns, and within a lane the oldest item goes first."""

    def __init__(self) -> None:
        self._lanes: OrderedDict[str, deque[T]] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def push(self, lane: str, item: T) -> None:
        """Add an item at the end of a lane; a lane that was empty is served after those that are there."""
        self._lanes.setdefault(lane, deque()).append(item)
        self._size += 1

    def pop(self) -> T:
        """Take the item whose turn it is. Raises `KeyError` if there is none."""
        lane, items = self._lanes.popitem(last=False)
        item = items.popleft()
        self._size -= 1
        if items:
            self._lanes[lane] = items
        return item

    def remove(self, lane: str, item: T) -> None:
        """Take an item out wherever it stands; one that is gone already is passed over."""
        items = self._lanes.get(lane)
        if items is None or item not in items:
            return
        items.remove(item)
        self._size -= 1
        if not items:
            del self._lanes[lane]
