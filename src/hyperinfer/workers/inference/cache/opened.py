"""The response cache of a worker, with what it takes to run."""

import hashlib
import hmac
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

SECRET_OF_SWARM = b"hyperinfer response cache 1"


@asynccontextmanager
async def open_cache(
    settings: CacheSettings, *, swarm_key: bytes, clock: Clock, registry: CollectorRegistry
) -> AsyncIterator[ResponseCache]:
    """A response cache for the length of the block. Raises `StartError` if its Redis has no address.

    In memory its secret is its own; in Redis that of the swarm, so that its workers find each other's answers.
    """
    if not settings.redis_url:
        yield in_memory(settings, clock=clock, registry=registry)
        return
    meters = CacheMeters(registry)
    from hyperinfer.workers.inference.cache.shared import SharedStore  # the client of Redis takes a while to load

    secret = hmac.digest(swarm_key, SECRET_OF_SWARM, hashlib.sha256)
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
