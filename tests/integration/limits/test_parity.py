"""Whatever is asked, a limiter over Redis answers as the one in memory does."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hyperinfer.contracts.limits import Limits, Subject
from hyperinfer.errors import RateLimited
from hyperinfer.protocol.limits import KINDS, span_of
from hyperinfer.testing.limits import Hands, shared_limiter
from hyperinfer.workers.gateway.limiting import Admission, Limiter, MemoryLimiter
from hyperinfer.workers.gateway.limiting.scripts import read

small = st.none() | st.integers(0, 4) | st.just(20_000)
tokens = st.none() | st.integers(0, 60)
limits = st.builds(
    Limits,
    requests_per_minute=small,
    requests_per_hour=small,
    requests_per_interval=small,
    interval_minutes=st.none() | st.sampled_from([1, 7]),
    tokens_per_minute=tokens,
    tokens_per_day=tokens,
    tokens_per_month=tokens,
    concurrent_requests=small,
)
# Fractions of a power of two, so that floats add up exactly.
waits = st.sampled_from([0.0, 0.0, 3 / 1024, 1.0, 7.5, 30.0, 60.0, 400.0, 3600.0, 86_400.0, 27 * 86_400.0])
steps = st.lists(
    st.tuples(waits, st.sampled_from(["u", "k", "uk"]), st.integers(0, 30))
    | st.tuples(waits, st.integers(0, 5), st.integers(0, 40)),
    max_size=40,
)


def rounded(what: Any) -> Any:
    """The same without the last digits of its times, which are counted in microseconds here and as floats there."""
    if isinstance(what, dict):
        return {name: rounded(one) for name, one in what.items()}
    if isinstance(what, list | tuple):
        return [rounded(one) for one in what]
    return round(what, 4) if isinstance(what, float) else what


async def asked(limiter: Limiter, who: list[Subject], count: int, under_way: list[Admission]) -> Any:
    """What a limiter answers."""
    try:
        admission = await limiter.admit(who, tokens=count)
    except RateLimited as refused:
        said: Any = refused.details
    else:
        under_way.append(admission)
        said = admission.standing
    return rounded(msgspec.to_builtins((said, await limiter.look(who))))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(limits, limits, steps)
def test_redis_counts_as_memory_does(
    redis_url: str, user: Limits, key: Limits, steps: list[tuple[float, str | int, int]]
) -> None:
    subjects = {"u": Subject(id="user:u", limits=user), "k": Subject(id="key:k", limits=key)}

    async def compare() -> None:
        with redis.Redis.from_url(redis_url) as client:
            client.flushall()
        hands = Hands(redis_url)
        memory = MemoryLimiter(hands, max_logged=100_000, keep=lambda _: None)
        async with shared_limiter(redis_url, hands) as shared:
            of_memory: list[Admission] = []
            of_redis: list[Admission] = []
            for wait_s, what, count in steps:
                # Leases are renewed in time; a long wait is for when nothing is under way.
                parts = [wait_s] if not of_redis else [20.0] * int(min(wait_s, 60.0) // 20) + [wait_s % 20]
                for part_s in parts:
                    hands.advance(part_s)
                    await shared.step()
                if isinstance(what, str):
                    who = [subjects[name] for name in what]
                    assert await asked(shared, who, count, of_redis) == await asked(memory, who, count, of_memory)
                elif of_memory:
                    await shared.settle(of_redis.pop(what % len(of_redis)), tokens=count)
                    await memory.settle(of_memory.pop(what % len(of_memory)), tokens=count)
            assert shared.degraded is None

    asyncio.run(compare())


@pytest.mark.parametrize("kind", KINDS)
def test_windows_are_the_same_in_both(redis_url: str, kind: str) -> None:
    script = read("common") + "local start, over = span(ARGV[1], tonumber(ARGV[2])) return {start, over}"
    with redis.Redis.from_url(redis_url) as client:
        span = client.register_script(script)
        for year in (1970, 1999, 2000, 2023, 2024, 2026, 2100):
            for day in range(366):
                at_s = int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) + day * 86_400 + 86_399 * (day % 2)
                expected = next(span_of(one, at_s) for one in KINDS if one == kind)
                assert tuple(span(args=[kind, at_s])) == expected
