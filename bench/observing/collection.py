"""What a gateway spends on being collected from: a swarm of many models in this process, whose gateway answers a metrics worker's calls."""

import asyncio
import gc
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import msgspec

from bench.gateway.serve import ECHO, net_of, parts
from bench.observing.serve import quiet
from bench.swarm import api_key
from hyperinfer.contracts.common import HEALTH, LINKS, METRICS
from hyperinfer.contracts.method import Nothing
from hyperinfer.facilities.net.memory import MemoryNet
from hyperinfer.kernel.compose import Running, running
from hyperinfer.kernel.own_swarm import prepare
from hyperinfer.kernel.run import loop_factory
from hyperinfer.testing.swarm import part
from hyperinfer.workers.inference.worker import WORKER as INFERENCE

MODELS = 50
ROUNDS = 20


class Collected(msgspec.Struct, frozen=True):
    """CPU of the gateway's answers to one collection, in milliseconds, and what they came to."""

    models: int
    cpu_ms: float
    text_bytes: int
    series: int


async def collected() -> Collected:
    """Run the swarm, have each model asked once, and collect again and again."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        known = parts(home, None, ECHO, observe__enabled=False)
        every = {**ECHO, **net_of(None), "observe__enabled": False}
        more = [
            part(INFERENCE, home=home, rack=f"r{number}", **every, echo__model=f"model-{number}")
            for number in range(MODELS)
        ]
        mine = [known["auth"], *more, known["gateway"]]
        prepare(mine, home=home, now=datetime.now(UTC))
        async with running(mine, home=home, net=MemoryNet()) as workers:
            gateway = workers[-1]
            await _ask(gateway.addresses["http"])
            gc.freeze()
            taken = [await _collect(gateway) for _ in range(ROUNDS)]
            text = (await gateway.own.call(METRICS, Nothing())).text
            series = sum(not line.startswith("#") for line in text.splitlines())
            return Collected(MODELS, statistics.median(taken), len(text), series)


async def _ask(url: str) -> None:
    headers = {"authorization": f"Bearer {await api_key(url)}"}
    async with aiohttp.ClientSession(url, headers=headers) as http:
        for number in range(MODELS):
            body = {"model": f"model-{number}", "messages": [{"role": "user", "content": "hi"}], "stream": True}
            async with http.post("/v1/chat/completions", json=body) as reply:
                reply.raise_for_status()
                await reply.read()


async def _collect(gateway: Running) -> float:
    """What the metrics worker asks in a round, and the encoding of what it is told."""
    begun = time.thread_time()
    for method in (HEALTH, METRICS, LINKS):
        msgspec.json.encode(await gateway.own.call(method, Nothing()))
    return (time.thread_time() - begun) * 1000


if __name__ == "__main__":
    quiet()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        print(msgspec.json.encode(runner.run(collected())).decode())
