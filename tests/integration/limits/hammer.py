"""A gateway's limiter in a process of its own, hammered by many tasks at once. Arguments: the Redis and the gateway's name."""

import asyncio
import sys

from hyperinfer.errors import RateLimited
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.testing.limits import shared_limiter, subject

TASKS, TRIES = 32, 20


async def main(url: str, gateway: str) -> None:
    """Wait for a line, hammer, and say how many were let in and how many tokens those used."""
    who = [subject(requests_per_minute=100, tokens_per_day=900), subject("key:k", requests_per_hour=1000)]
    passed = used = 0
    async with shared_limiter(url, SystemClock(), gateway=gateway, timeout_s=20) as limiter:

        async def hammer() -> None:
            nonlocal passed, used
            for n in range(TRIES):
                try:
                    admission = await limiter.admit(who, tokens=8)
                except RateLimited:
                    continue
                passed += 1
                used += n % 7
                await limiter.settle(admission, tokens=n % 7)

        say("ready")
        await asyncio.to_thread(sys.stdin.readline)
        async with asyncio.TaskGroup() as group:
            for _ in range(TASKS):
                group.create_task(hammer())
        assert limiter.degraded is None
    say(f"{passed} {used}")


def say(line: str) -> None:
    """Tell the test."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
