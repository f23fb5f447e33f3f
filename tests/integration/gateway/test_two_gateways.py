"""Two gateways of one swarm: with a Redis between them a limit is one limit; without one, the second does not start."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hyperinfer.contracts.limits import Limits
from hyperinfer.errors import StartError
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.facilities.net.memory import MemoryNet
from hyperinfer.kernel.compose import running
from hyperinfer.kernel.own_swarm import prepare
from hyperinfer.testing.auth import FakeAuth
from hyperinfer.testing.eventually import eventually
from hyperinfer.testing.inference import FakeInference
from hyperinfer.testing.swarm import part
from hyperinfer.workers.gateway.worker import WORKER

from .conftest import BODY

LIMIT, CLIENTS, TRIES = 100, 64, 4


@asynccontextmanager
async def gateways(home: Path, auth: FakeAuth, count: int, **settings: Any) -> AsyncIterator[list[str]]:
    """Run so many gateways with auth and an inference worker; gives their URLs once all can answer."""
    inference = FakeInference("m", slots=256)
    parts = [
        part(auth.worker(), home=home),
        part(inference.worker(), home=home),
        *(part(WORKER, home=home, rack=str(number), http__port=0, **settings) for number in range(count)),
    ]
    prepare(parts, home=home, now=SystemClock().now())
    async with running(parts, home=home, net=MemoryNet()) as workers:

        async def ready() -> bool:
            return not any(worker.not_ready() for worker in workers)

        await eventually(ready)
        yield [worker.addresses["http"] for worker in workers if worker.wtype == "gateway"]


async def hammered(urls: list[str], key: str) -> Counter[int]:
    """Many clients ask through all the gateways in turn, all at once; counts the statuses."""
    statuses: Counter[int] = Counter()
    headers = {"Authorization": f"Bearer {key}"}

    async def client(session: aiohttp.ClientSession, number: int) -> None:
        for turn in range(TRIES):
            url = urls[(number + turn) % len(urls)]
            async with session.post(f"{url}/v1/chat/completions", json=BODY, headers=headers) as reply:
                await reply.read()
                statuses[reply.status] += 1

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CLIENTS)) as session:
        await asyncio.gather(*(client(session, number) for number in range(CLIENTS)))
    return statuses


async def test_one_gateway_lets_in_exactly_the_limit(tmp_path: Path) -> None:
    auth = FakeAuth(tiers={"default": Limits(requests_per_minute=LIMIT)})
    key = auth.person("ada", tier="default")
    async with gateways(tmp_path, auth, 1) as urls:
        assert await hammered(urls, key) == {200: LIMIT, 429: CLIENTS * TRIES - LIMIT}


async def test_two_gateways_with_a_redis_let_in_exactly_the_limit_together(tmp_path: Path, redis_url: str) -> None:
    auth = FakeAuth(tiers={"default": Limits(requests_per_minute=LIMIT)})
    key = auth.person("ada", tier="default")
    async with gateways(tmp_path, auth, 2, limits__redis_url=redis_url) as urls:
        assert len(urls) == 2
        assert await hammered(urls, key) == {200: LIMIT, 429: CLIENTS * TRIES - LIMIT}


async def test_a_second_gateway_that_would_count_alone_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"limits\.redis_url"):
        async with gateways(tmp_path, FakeAuth(), 2):
            pass


async def test_who_says_so_counts_per_gateway(tmp_path: Path) -> None:
    auth = FakeAuth(tiers={"default": Limits(requests_per_minute=5)})
    key = auth.person("ada", tier="default")
    async with gateways(tmp_path, auth, 2, limits__scope="gateway") as urls:
        assert (await hammered(urls, key))[200] == 10
