"""How much memory a gateway and its metrics worker have, by how long they have been collected from.

Collections come fifteen times as fast as by default, and alerts look back a fifteenth as far, so that as many points are remembered.
"""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec

from bench.gateway.__main__ import Target, measure
from bench.observing.serve import Setup
from bench.swarm import api_key, process

FASTER = 15
INTERVAL_S, REMEMBER_S = 5.0, 900.0
MINUTES = (0, 10, 20, 30)


@dataclass(frozen=True, slots=True)
class Held:
    """Resident memory in MB after so many minutes' worth of collections."""

    minutes: int
    gateway_mb: float
    metrics_mb: float


async def held(bootstrap: str, receiver: str) -> AsyncIterator[Held]:
    """Run a swarm with everything on and look at it now and then; between the looks some requests are made."""
    async with contextlib.AsyncExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory())
        setup = Setup(
            home=home,
            bootstrap=bootstrap,
            metrics=True,
            log=True,
            traces_to=receiver,
            collect_s=INTERVAL_S / FASTER,
            remember_s=REMEMBER_S / FASTER,
        )
        told = msgspec.json.encode(setup).decode()
        await stack.enter_async_context(process("bench.observing.serve", "workers", told))
        url, gateway = await stack.enter_async_context(process("bench.observing.serve", "gateway", told))
        _, metrics = await stack.enter_async_context(process("bench.observing.serve", "metrics", told))
        target = Target("held", url, await api_key(url), gateway)
        loop, before = asyncio.get_running_loop(), 0
        for minutes in MINUTES:
            until = loop.time() + (minutes - before) * 60 / FASTER
            await measure(target, stream=True, concurrency=16, seconds=1.0)
            await asyncio.sleep(max(0.0, until - loop.time()))
            before = minutes
            yield Held(minutes, *(each.memory_info().rss / 1e6 for each in (gateway, metrics)))
