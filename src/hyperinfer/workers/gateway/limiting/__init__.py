"""Limits of people and keys: counted in memory, or in a Redis that several gateways share."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress

from hyperinfer.errors import StartError
from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.tasks import background
from hyperinfer.workers.gateway.journal.lines import TokenWindow
from hyperinfer.workers.gateway.limiting.config import LimiterSettings
from hyperinfer.workers.gateway.limiting.memory import MemoryLimiter
from hyperinfer.workers.gateway.limiting.meters import show_limiter
from hyperinfer.workers.gateway.limiting.port import Admission, Keep, Limiter

__all__ = ["Admission", "Keep", "Limiter", "LimiterSettings", "MemoryLimiter", "limiting", "show_limiter"]

LAST_WORDS_S = 2.0


@asynccontextmanager
async def limiting(
    settings: LimiterSettings,
    clock: Clock,
    *,
    gateway: str,
    gateways: Callable[[], int],
    keep: Keep,
    kept: Iterable[TokenWindow] = (),
) -> AsyncIterator[Limiter]:
    """The limiter that is configured, for the length of the block.

    `gateway` names this gateway among those that share a Redis, and `gateways` says how many there are. `keep` is told of
    token windows, of which `kept` are those of the last run. Raises `StartError` if the Redis does not let us in; one that
    is away is waited for.
    """
    if settings.redis_url is None:
        yield MemoryLimiter(clock, max_logged=settings.max_logged, keep=keep, kept=kept)
        return
    if settings.scope == "gateway":
        raise StartError(
            "limits.scope=gateway says that each gateway counts for itself, and limits.redis_url that they count together: "
            "take one of them away."
        )
    from hyperinfer.workers.gateway.limiting.shared import SharedLimiter  # the client of Redis takes a while to load
    from hyperinfer.workers.gateway.limiting.store import RedisStore

    store = RedisStore(
        settings.redis_url, prefix=settings.redis_prefix, gateway=gateway, timeout_s=settings.redis_timeout_s
    )
    limiter = SharedLimiter(store, clock, gateways=gateways, max_logged=settings.max_logged, keep=keep, kept=kept)
    try:
        await limiter.open()
        async with background(limiter.run(), name="limits"):
            yield limiter
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                await limiter.step()
    finally:
        await store.close()
