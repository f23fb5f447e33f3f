"""Time letting a request in and settling it, by what limits it: in memory, and in a Redis on this machine if it has one.

Beside it stands what every limiter pays: two coroutines awaited, and the time of day asked twice.
"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence

from hyperinfer.contracts.limits import Limits, Subject
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.kernel.run import loop_factory
from hyperinfer.testing.limits import shared_limiter
from hyperinfer.testing.servers import RedisServer
from hyperinfer.workers.gateway.limiting import Limiter, MemoryLimiter

ROUNDS, PEOPLE = 20_000, 200
MANY = 10**9

REQUESTS = Limits(requests_per_minute=5000, requests_per_hour=MANY)
ALL = Limits(
    requests_per_minute=5000,
    requests_per_hour=MANY,
    tokens_per_minute=MANY,
    tokens_per_day=MANY,
    tokens_per_month=MANY,
    concurrent_requests=MANY,
)
CASES = {
    "nothing limited": (Limits(),),
    "two request windows": (REQUESTS,),
    "a request and a token window": (Limits(requests_per_minute=5000, tokens_per_day=MANY),),
    "every limit": (ALL,),
    "every limit, user and key": (ALL, ALL),
}


def people(limits: Sequence[Limits]) -> list[tuple[Subject, ...]]:
    """The subjects of people with such limits."""
    return [
        tuple(Subject(id=f"{kind}:{n}", limits=one) for kind, one in zip(("user", "key"), limits, strict=False))
        for n in range(PEOPLE)
    ]


async def timed(once: Callable[[int], Awaitable[None]], rounds: int) -> tuple[float, float]:
    """The median and the 99th percentile of one call, in microseconds."""
    taken = []
    for n in range(rounds):
        begun = time.perf_counter()
        await once(n)
        taken.append((time.perf_counter() - begun) * 1e6)
    return statistics.median(taken), statistics.quantiles(taken, n=100)[-1]


async def show(name: str, limiter: Limiter, rounds: int) -> None:
    """Print the figures of one limiter."""
    for case, limits in CASES.items():
        subjects = people(limits)

        async def once(n: int, subjects: Sequence[Sequence[Subject]] = subjects) -> None:
            admission = await limiter.admit(subjects[n % PEOPLE], tokens=300)
            await limiter.settle(admission, tokens=200)

        p50, p99 = await timed(once, rounds)
        print(f"{name + ': ' + case:44}{p50:9.1f}{p99:9.1f}")


async def main() -> None:
    """Print the figures."""
    clock = SystemClock()

    async def nothing() -> None:
        clock.monotonic()
        clock.now().timestamp()

    async def floor(_: int) -> None:
        await nothing()
        await nothing()

    print(f"{'admit and settle, one after the other':44}{'p50 µs':>9}{'p99 µs':>9}")
    p50, p99 = await timed(floor, ROUNDS)
    print(f"{'floor':44}{p50:9.1f}{p99:9.1f}")
    await show("memory", MemoryLimiter(clock, max_logged=4_000_000, keep=lambda _: None), ROUNDS)
    if RedisServer.is_installed():
        with RedisServer.running() as server:
            async with shared_limiter(server.url, clock) as limiter:
                await show("Redis", limiter, ROUNDS // 20)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(main())
