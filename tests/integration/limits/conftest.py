"""Limiters of each kind."""

from collections.abc import AsyncIterator

import pytest

from hyperinfer.testing.limits import Hands, shared_limiter
from hyperinfer.workers.gateway.limiting import Limiter, MemoryLimiter


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.needs_redis)])
def hands(request: pytest.FixtureRequest) -> Hands:
    """The clock; where it turns a Redis, limits are counted there."""
    return Hands(request.getfixturevalue("redis_url") if request.param == "redis" else None)


@pytest.fixture
async def limiter(hands: Hands) -> AsyncIterator[Limiter]:
    if hands.redis_url is None:
        yield MemoryLimiter(hands, max_logged=100_000, keep=lambda _: None)
        return
    async with shared_limiter(hands.redis_url, hands) as shared:
        yield shared
        assert shared.degraded is None
