"""The whole worker with the real engine: it says that it loads, answers a gateway, and lets an answer end when it stops."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec
import psutil
import pytest

from hyperinfer.contracts.inference import PROCESS_REQUEST, ProcessRequest
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.facilities.net.memory import MemoryNet
from hyperinfer.kernel.compose import running
from hyperinfer.kernel.own_swarm import prepare
from hyperinfer.testing.asking import AskingGateway
from hyperinfer.testing.swarm import part
from hyperinfer.workers.inference.worker import WORKER

pytestmark = [pytest.mark.slow, pytest.mark.needs_model]


async def test_a_worker_answers_while_it_can_and_lets_the_last_answer_end(tmp_path: Path) -> None:
    gateway = AskingGateway()
    parts = [part(gateway.worker(), home=tmp_path), part(WORKER, home=tmp_path, llamacpp__threads=1)]
    prepare(parts, home=tmp_path, now=SystemClock().now())
    net = MemoryNet()
    chunks: list[bytes] = []
    began = asyncio.Event()

    async def take(some: Sequence[bytes]) -> None:
        chunks.extend(some)
        began.set()

    async with asyncio.timeout(40), running(parts[:1], home=tmp_path, net=net), asyncio.TaskGroup() as group:
        async with running(parts[1:], home=tmp_path, net=net) as [worker]:
            assert worker.not_ready() == ["The model smollm2-135m is being loaded."]
            caller = gateway.service("inference")
            reply = await caller.call(PROCESS_REQUEST, ProcessRequest(prompt="Say hello."))
            assert reply.response
            assert worker.not_ready() == ()
            body = {"messages": [{"role": "user", "content": "Count."}], "max_tokens": 40, "logit_bias": {"2": -100}}
            request = ProcessRequest(body=msgspec.Raw(msgspec.json.encode(body)))
            last = group.create_task(caller.call(PROCESS_REQUEST, request, sink=take))
            await began.wait()
        assert (await last).finish_reason == "length"
    assert msgspec.json.decode(chunks[-1])["choices"][0]["finish_reason"] == "length"
    assert not [child for child in psutil.Process().children() if "llamacpp.child" in " ".join(child.cmdline())]
