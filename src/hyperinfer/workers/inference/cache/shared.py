"""Answers kept in a Redis, encrypted. While that is away nothing is kept, and nobody waits for it."""

import asyncio
from contextlib import suppress

import structlog
from redis.exceptions import RedisError

from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.redis import Calls, connect
from hyperinfer.workers.inference.cache.config import CacheSettings
from hyperinfer.workers.inference.cache.keys import CacheKey
from hyperinfer.workers.inference.cache.meters import CacheMeters
from hyperinfer.workers.inference.cache.sealed import SEAL_BYTES, seal, unseal

MAX_CONNECTIONS = 2
"""One to look things up, one to keep them."""
MAX_WAITING = 64
"""Answers on their way to Redis; more are not kept."""
PAUSE_S = 1.0
"""How long a Redis that has failed is left alone."""
WRITE_TIMEOUT_S = 2.0
CLOSE_TIMEOUT_S = 1.0

FAILURES = (RedisError, OSError, TimeoutError)

log = structlog.get_logger(__name__)


class SharedStore:
    """A worker's way to a Redis, while `run` runs."""

    def __init__(self, url: str, settings: CacheSettings, *, clock: Clock, meters: CacheMeters) -> None:
        self._settings = settings
        self._clock = clock
        self._meters = meters
        self._redis, self._pool = connect(
            url, setting="cache.redis_url", max_connections=MAX_CONNECTIONS, timeout_s=settings.redis_timeout_s
        )
        self._calls = Calls(self._redis, timeout_s=settings.redis_timeout_s)
        self._waiting: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(MAX_WAITING)
        self._paused_until = float("-inf")
        self._is_away = False

    async def run(self) -> None:
        """Ask and tell Redis, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._calls.run(), name="cache: look-ups")
            group.create_task(self._write(), name="cache: answers")

    async def close(self) -> None:
        """Hang up."""
        with suppress(*FAILURES):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._pool.disconnect()

    async def get(self, key: CacheKey) -> bytes | None:
        """What is kept under a key, if anything is, and Redis says so in time."""
        if self._is_paused:
            return None
        try:
            sealed = await self._calls.call("GET", self._name(key))
        except FAILURES as error:
            self._failed(error)
            return None
        self._answered()
        if not isinstance(sealed, bytes) or len(sealed) > self._settings.max_entry_bytes + SEAL_BYTES:
            return None
        return unseal(key, sealed)

    async def put(self, key: CacheKey, data: bytes) -> None:
        """Have this kept soon."""
        if self._is_paused or self._waiting.full():
            self._meters.skipped("busy")
            return
        self._waiting.put_nowait((self._name(key), seal(key, data)))

    @property
    def _is_paused(self) -> bool:
        return self._clock.monotonic() < self._paused_until

    def _name(self, key: CacheKey) -> str:
        return f"{self._settings.redis_prefix}:cache:{key.name}"

    async def _write(self) -> None:
        ttl_ms = max(1, round(self._settings.ttl_s * 1000))
        while True:
            name, sealed = await self._waiting.get()
            if self._is_paused:
                self._meters.skipped("busy")
                continue
            try:
                async with asyncio.timeout(WRITE_TIMEOUT_S):
                    await self._redis.set(name, sealed, px=ttl_ms)
            except FAILURES as error:
                self._failed(error)

    def _failed(self, error: Exception) -> None:
        self._meters.failures.inc()
        self._paused_until = self._clock.monotonic() + PAUSE_S
        if not self._is_away:
            self._is_away = True
            log.warning("response_cache", available=False, error=error)

    def _answered(self) -> None:
        if self._is_away:
            self._is_away = False
            log.info("response_cache", available=True)
