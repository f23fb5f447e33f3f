"""The limiter that the settings ask for."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.tasks import background
from hyperinfer.workers.gateway.journal import Journal
from hyperinfer.workers.gateway.limiting.config import LimiterSettings
from hyperinfer.workers.gateway.limiting.memory import MemoryLimiter
from hyperinfer.workers.gateway.limiting.port import Limiter


@asynccontextmanager
async def limiting(
    settings: LimiterSettings, journal: Journal, clock: Clock, *, gateway: str, gateways: Callable[[], int]
) -> AsyncIterator[Limiter]:
    """A limiter for the length of the block; token windows are kept in the journal, and what was cut is charged.

    `gateway` names this gateway, `gateways` says of how many it is one. Raises `StartError` for a Redis that cannot be
    used.
    """
    async with _opened(settings, journal, clock, gateway=gateway, gateways=gateways) as limiter:
        for record in journal.cut:
            for subject in (f"user:{record.user_id}", *((f"key:{record.api_key_id}",) if record.api_key_id else ())):
                limiter.charge(subject, tokens=record.prompt_tokens + record.completion_tokens, at=record.started_at)
        yield limiter


@asynccontextmanager
async def _opened(
    settings: LimiterSettings, journal: Journal, clock: Clock, *, gateway: str, gateways: Callable[[], int]
) -> AsyncIterator[Limiter]:
    if not settings.redis_url:
        yield MemoryLimiter(clock, max_logged=settings.max_logged, keep=journal.keep, kept=journal.windows)
        return
    from hyperinfer.workers.gateway.limiting.shared import SharedLimiter
    from hyperinfer.workers.gateway.limiting.store import RedisStore

    store = RedisStore(
        settings.redis_url, prefix=settings.redis_prefix, gateway=gateway, timeout_s=settings.redis_timeout_s
    )
    limiter = SharedLimiter(
        store,
        clock,
        gateways=gateways,
        max_logged=settings.max_logged,
        keep=journal.keep,
        kept=journal.windows,
    )
    try:
        await limiter.open()
        async with background(limiter.run(), name="limits"):
            yield limiter
    finally:
        await store.close()
