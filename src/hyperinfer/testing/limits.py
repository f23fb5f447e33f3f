"""Limiters under a clock that a test turns, and short words to ask them with."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager

import redis

from hyperinfer.contracts.limits import Limits, Subject
from hyperinfer.contracts.usage import UsageRecord
from hyperinfer.errors import RateLimited
from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.tasks import background
from hyperinfer.testing.clock import ManualClock
from hyperinfer.workers.gateway.journal import TokenWindow
from hyperinfer.workers.gateway.limiting import Admission, Keep, Limiter
from hyperinfer.workers.gateway.limiting.shared import SharedLimiter
from hyperinfer.workers.gateway.limiting.store import RedisStore

NOW = "hands"
CLOCK = f"local function clock() return tonumber(redis.call('GET', '{NOW}')) end\n"
"""In place of Redis' own clock: the hands as they have been turned last."""


class Hands(ManualClock):
    """A clock that stands still until it is turned, for a Redis too where there is one."""

    def __init__(self, redis_url: str | None = None) -> None:
        super().__init__()
        self.redis_url = redis_url
        self.advance(0)

    def advance(self, seconds: float) -> None:
        """Turn the hands."""
        super().advance(seconds)
        if self.redis_url:
            with redis.Redis.from_url(self.redis_url) as client:
                client.set(NOW, round(self.now().timestamp() * 1_000_000))


class Kept:
    """As much of a journal as a limiter needs: the newest of each token window, and what was cut."""

    def __init__(self, *cut: UsageRecord) -> None:
        self.cut = cut
        self.by_window: dict[tuple[str, str], TokenWindow] = {}

    @property
    def windows(self) -> tuple[TokenWindow, ...]:
        """What token windows hold."""
        return tuple(self.by_window.values())

    def keep(self, windows: Iterable[TokenWindow]) -> None:
        """Keep what token windows hold now."""
        self.by_window.update({(window.subject, window.kind): window for window in windows})


@asynccontextmanager
async def shared_limiter(
    url: str,
    clock: Clock,
    *,
    gateway: str = "one",
    gateways: Callable[[], int] = lambda: 1,
    timeout_s: float = 5.0,
    keep: Keep = lambda _: None,
    kept: Iterable[TokenWindow] = (),
) -> AsyncIterator[SharedLimiter]:
    """A limiter over a Redis, opened but not run: a test steps it. With `Hands`, Redis goes by them."""
    by = CLOCK if isinstance(clock, Hands) else ""
    store = RedisStore(url, prefix="test", gateway=gateway, timeout_s=timeout_s, clock=by)
    limiter = SharedLimiter(store, clock, gateways=gateways, max_logged=100_000, keep=keep, kept=kept)
    try:
        async with background(store.run(), name="limits: Redis"):
            await limiter.open()
            yield limiter
    finally:
        await store.close()


def subject(name: str = "user:u", **limits: int) -> Subject:
    """Somebody with these limits."""
    return Subject(id=name, limits=Limits(**limits))


async def admitted(limiter: Limiter, subjects: Sequence[Subject], *, tokens: int = 0, tries: int) -> list[Admission]:
    """Those of so many requests that are let in."""
    passed = []
    for _ in range(tries):
        try:
            passed.append(await limiter.admit(subjects, tokens=tokens))
        except RateLimited:
            continue
    return passed
