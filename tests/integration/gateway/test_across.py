"""The gateway and its workers each on a Hyperswarm driver of their own, meeting by topics on a local DHT."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from hyperinfer.contracts.inference import Processed, ProcessRequest
from hyperinfer.facilities.net.hyperswarm import HyperswarmNet, hyperswarm
from hyperinfer.kernel.calls import Call
from hyperinfer.testing.inference import FakeInference, echo
from hyperinfer.testing.testnet import local_dht, quick

from .conftest import BODY, house

WORKERS = ("inference-0", "inference-1")


@asynccontextmanager
async def drivers() -> AsyncIterator[Mapping[str, HyperswarmNet]]:
    """A driver for gateway and auth, and one for each inference worker."""
    async with AsyncExitStack() as stack:
        settings = quick(await stack.enter_async_context(local_dht()))
        near = await stack.enter_async_context(hyperswarm(settings))
        far = {name: await stack.enter_async_context(hyperswarm(settings)) for name in WORKERS}
        yield {"auth": near, "gateway": near, **far}


async def test_prompts_cross_the_swarm_and_a_lost_worker_costs_no_request(tmp_path: Path) -> None:
    inferences = FakeInference("m"), FakeInference("m")
    async with drivers() as nets, house(tmp_path, *inferences, nets=nets) as running:
        for _ in range(10):
            assert (await running.chat())[0] == 200
            status, text = await running.stream()
            assert status == 200
            assert text.endswith("data: [DONE]\n\n")
        assert all(inference.requests for inference in inferences)
        await running.stop("inference-0")
        async with asyncio.timeout(5):
            for _ in range(10):
                assert (await running.chat())[0] == 200
        await running.start("inference-0")
        await running.until_seen(inference_0="ready")


async def test_hanging_up_stops_the_work_across_the_swarm(tmp_path: Path) -> None:
    inference = FakeInference("m")
    began, stopped = asyncio.Event(), asyncio.Event()

    async def endless(request: ProcessRequest, call: Call) -> Processed:
        try:
            await call.stream([b'{"n":0}'])
            began.set()
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return await echo(request, call)

    inference.answer = endless
    async with drivers() as nets, house(tmp_path, inference, nets=nets) as running:
        async with running.http.post("/v1/chat/completions", json=BODY | {"stream": True}) as reply:
            assert reply.status == 200
            await began.wait()
        reply.close()
        async with asyncio.timeout(1):
            await stopped.wait()
