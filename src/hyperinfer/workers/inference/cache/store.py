"""The port to where answers are kept."""

from typing import Protocol

from hyperinfer.workers.inference.cache.keys import CacheKey


class Store(Protocol):
    """Keeps bytes under keys for a while. Neither of the two raises anything: what cannot be had is not there, what cannot
    be kept is not kept."""

    async def get(self, key: CacheKey) -> bytes | None:
        """What is kept under a key, if anything is."""

    async def put(self, key: CacheKey, data: bytes) -> None:
        """Keep this. Takes next to no time."""
