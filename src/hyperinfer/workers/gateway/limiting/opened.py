"""The limiter that the settings ask for."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Protocol

from hyperinfer.contracts.usage import UsageRecord
from hyperinfer.errors import StartError
from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.tasks import background
from hyperinfer.workers.gateway.journal.lines import TokenWindow
from hyperinfer.workers.gateway.limiting.config import LimiterSettings
from hyperinfer.workers.gateway.limiting.memory import MemoryLimiter
from hyperinfer.workers.gateway.limiting.port import Limiter

LAST_WORDS_S = 2.0
"""How long telling Redis the last things may hold up the end."""


class Memory(Protocol):
    """What outlives a gateway: its journal. `windows` and `cut` are those of the last run."""

    @property
    def windows(self) -> Sequence[TokenWindow]:
        """What token windows hold that still mean something."""

    @property
    def cut(self) -> Sequence[UsageRecord]:
        """Requests that were never settled."""

    def keep(self, windows: Iterable[TokenWindow]) -> None:
        """Keep what token windows hold now."""


@asynccontextmanager
async def limiting(
    settings: LimiterSettings, journal: Memory, clock: Clock, *, gateway: str, gateways: Callable[[], int]
) -> AsyncIterator[Limiter]:
    """A limiter for the length of the block; token windows are kept in the journal, and what was cut is charged.

    `gateway` names this gateway, `gateways` says of how many it is one. Raises `StartError` for a Redis that does not let
    us in; one that is away is waited for.
    """
    async with _opened(settings, journal, clock, gateway=gateway, gateways=gateways) as limiter:
        for record in journal.cut:
            for subject in (f"user:{record.user_id}", *((f"key:{record.api_key_id}",) if record.api_key_id else ())):
                limiter.charge(subject, tokens=record.prompt_tokens + record.completion_tokens, at=record.started_at)
        yield limiter


@asynccontextmanager
async def _opened(
    settings: LimiterSettings, journal: Memory, clock: Clock, *, gateway: str, gateways: Callable[[], int]
) -> AsyncIterator[Limiter]:
    if not settings.redis_url:
        yield MemoryLimiter(clock, max_logged=settings.max_logged, keep=journal.keep, kept=journal.windows)
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
    limiter = SharedLimiter(
        store, clock, gateways=gateways, max_logged=settings.max_logged, keep=journal.keep, kept=journal.windows
    )
    try:
        async with background(store.run(), name="limits: Redis"):
            await limiter.open()
            async with background(limiter.run(), name="limits"):
                yield limiter
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORDS_S):
                    await limiter.step()
    finally:
        await store.close()
