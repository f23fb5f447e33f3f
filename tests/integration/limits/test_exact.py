"""Sixty-four clients at once, and exactly as many are let in as may be."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

from hyperinfer.errors import RateLimited
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.testing.limits import shared_limiter, subject
from hyperinfer.workers.gateway.limiting import Limiter, MemoryLimiter

HAMMER = Path(__file__).with_name("hammer.py")
WHO = [subject(requests_per_minute=100)]


async def hammered(limiter: Limiter, tasks: int = 64) -> int:
    """How many are let in of so many clients that each ask twenty times."""
    passed = 0

    async def client() -> None:
        nonlocal passed
        for _ in range(20):
            try:
                admission = await limiter.admit(WHO, tokens=1)
            except RateLimited:
                await asyncio.sleep(0)
                continue
            passed += 1
            await asyncio.sleep(0)
            await limiter.settle(admission, tokens=1)

    async with asyncio.TaskGroup() as group:
        for _ in range(tasks):
            group.create_task(client())
    return passed


async def test_in_memory() -> None:
    assert await hammered(MemoryLimiter(SystemClock(), max_logged=100_000, keep=lambda _: None)) == 100


async def test_through_two_limiters_on_one_redis(redis_url: str) -> None:
    async with (
        shared_limiter(redis_url, SystemClock(), timeout_s=20) as one,
        shared_limiter(redis_url, SystemClock(), gateway="two", timeout_s=20) as two,
    ):
        async with asyncio.TaskGroup() as group:
            of_one, of_two = (group.create_task(hammered(limiter, 32)) for limiter in (one, two))
        assert of_one.result() + of_two.result() == 100
        assert of_one.result() > 0
        assert of_two.result() > 0


async def test_through_two_processes_on_one_redis(redis_url: str) -> None:
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, HAMMER, redis_url, gateway, stdin=PIPE, stdout=PIPE, stderr=PIPE
        )
        for gateway in ("one", "two")
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert await process.stdout.readline() == b"ready\n"
        said = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert [error for _, error in said] == [b"", b""]
    passed, used = (sum(numbers) for numbers in zip(*(map(int, out.split()) for out, _ in said), strict=True))
    assert passed == 100
    who = [subject(requests_per_minute=100, tokens_per_day=900), subject("key:k", requests_per_hour=1000)]
    async with shared_limiter(redis_url, SystemClock(), gateway="look") as limiter:
        assert [row.used for row in (await limiter.look(who)).rows] == [100, used, 100]
