"""Answers kept in this process: the least used are given up first, none is older than it may be."""

from collections import OrderedDict

from hyperinfer.facilities.clock import Clock
from hyperinfer.workers.inference.cache.keys import CacheKey
from hyperinfer.workers.inference.cache.meters import CacheMeters

ENTRY_BYTES = 400
"""What an entry takes beside its data: its name, its place and its time."""


class MemoryStore:
    """At most `max_bytes`, each entry for at most `ttl_s`."""

    def __init__(self, *, max_bytes: int, ttl_s: float, clock: Clock, meters: CacheMeters) -> None:
        self._max_bytes = max_bytes
        self._ttl_s = ttl_s
        self._clock = clock
        self._meters = meters
        self._entries: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self._size_bytes = 0
        meters.show_size(lambda: self._size_bytes, lambda: len(self._entries))

    async def get(self, key: CacheKey) -> bytes | None:
        """What is kept under a key, if anything is."""
        found = self._entries.get(key.name)
        if found is None:
            return None
        until, data = found
        if until <= self._clock.monotonic():
            self._drop(key.name)
            self._meters.evicted("old")
            return None
        self._entries.move_to_end(key.name)
        return data

    async def put(self, key: CacheKey, data: bytes) -> None:
        """Keep this, and give up what there is no room for then."""
        if key.name in self._entries:
            self._drop(key.name)
        if len(data) + ENTRY_BYTES > self._max_bytes:
            return
        self._entries[key.name] = (self._clock.monotonic() + self._ttl_s, data)
        self._size_bytes += len(data) + ENTRY_BYTES
        while self._size_bytes > self._max_bytes:
            self._drop(next(iter(self._entries)))
            self._meters.evicted("room")

    def _drop(self, name: str) -> None:
        _, data = self._entries.pop(name)
        self._size_bytes -= len(data) + ENTRY_BYTES
