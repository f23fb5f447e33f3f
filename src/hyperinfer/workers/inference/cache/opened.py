"""The response cache of a worker, with what it takes to run."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry

from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.tasks import background
from hyperinfer.workers.inference.cache.config import CacheSettings
from hyperinfer.workers.inference.cache.memory import MemoryStore
from hyperinfer.workers.inference.cache.meters import CacheMeters
from hyperinfer.workers.inference.cache.responses import ResponseCache


@asynccontextmanager
async def open_cache(
    settings: CacheSettings, *, secret: bytes, clock: Clock, registry: CollectorRegistry
) -> AsyncIterator[ResponseCache]:
    """A response cache for the length of the block. Raises `StartError` if its Redis has no address.

    `secret` is the swarm's, so that its workers find each other's answers in Redis; in memory the cache has one of its own.
    """
    if not settings.redis_url:
        yield in_memory(settings, clock=clock, registry=registry)
        return
    from hyperinfer.workers.inference.cache.shared import SharedStore  # the client of Redis takes a while to load

    meters = CacheMeters(registry)
    store = SharedStore(settings.redis_url, settings, clock=clock, meters=meters)
    try:
        async with background(store.run(), name="cache: Redis"):
            yield ResponseCache(settings, secret=secret, store=store, meters=meters)
    finally:
        await store.close()


def in_memory(settings: CacheSettings, *, clock: Clock, registry: CollectorRegistry) -> ResponseCache:
    """A response cache in this process."""
    meters = CacheMeters(registry)
    store = MemoryStore(max_bytes=settings.max_bytes, ttl_s=settings.ttl_s, clock=clock, meters=meters)
    return ResponseCache(settings, secret=os.urandom(32), store=store, meters=meters)
