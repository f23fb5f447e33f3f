"""The worker in a swarm: a gateway finds it, watches it, has it answer, and is told when it leaves."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import pytest

from hyperinfer.contracts.inference import (
    LIST_MODELS,
    MODEL_STATUS,
    PROCESS_REQUEST,
    WATCH_STATUS,
    OfModel,
    ProcessRequest,
    WorkerStatus,
)
from hyperinfer.contracts.method import Nothing
from hyperinfer.errors import Forbidden, HyperinferError, ModelNotFound
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.facilities.net.memory import MemoryNet
from hyperinfer.kernel.compose import Part, running
from hyperinfer.kernel.own_swarm import prepare
from hyperinfer.testing.asking import AskingGateway
from hyperinfer.testing.swarm import part
from hyperinfer.workers.inference.worker import WORKER


def echo(home: Path) -> Part:
    return part(WORKER, home=home, llamacpp__enabled=False, echo__enabled=True)


async def test_a_gateway_is_served_by_either_name(tmp_path: Path) -> None:
    gateway = AskingGateway()
    parts = [part(gateway.worker(), home=tmp_path), echo(tmp_path)]
    prepare(parts, home=tmp_path, now=SystemClock().now())
    async with asyncio.timeout(20), running(parts, home=tmp_path, net=MemoryNet()) as (_, inference):
        assert inference.not_ready() == ()
        for caller in (gateway.service("inference"), gateway.service("processor")):
            reply = await caller.call(PROCESS_REQUEST, ProcessRequest(prompt="say this again"))
            assert reply.response == "say this again"
        status = await gateway.service("inference").call(LIST_MODELS, Nothing())
        assert [model.name for model in status.models] == ["echo"]
        assert (await gateway.service("inference").call(MODEL_STATUS, OfModel(model="echo"))).served == 2
        with pytest.raises(ModelNotFound):
            await gateway.service("inference").call(MODEL_STATUS, OfModel(model="z"))
        with pytest.raises(Forbidden):
            await inference.own.call(PROCESS_REQUEST, ProcessRequest(prompt="x"))


async def test_chunks_are_streamed_as_raw_json(tmp_path: Path) -> None:
    gateway = AskingGateway()
    parts = [part(gateway.worker(), home=tmp_path), echo(tmp_path)]
    prepare(parts, home=tmp_path, now=SystemClock().now())
    chunks: list[bytes] = []

    async def take(some: Sequence[bytes]) -> None:
        chunks.extend(some)

    async with asyncio.timeout(20), running(parts, home=tmp_path, net=MemoryNet()):
        reply = await gateway.service("inference").call(PROCESS_REQUEST, ProcessRequest(prompt="one two"), sink=take)
    assert reply.usage.completion_tokens == 2
    assert [msgspec.json.decode(chunk)["choices"][0]["delta"].get("content") for chunk in chunks[1:]] == [
        "",
        "one",
        " two",
        None,
    ]


async def test_who_watches_is_told_that_it_drains_before_it_is_gone(tmp_path: Path) -> None:
    gateway = AskingGateway()
    parts = [part(gateway.worker(), home=tmp_path), echo(tmp_path)]
    prepare(parts, home=tmp_path, now=SystemClock().now())
    net = MemoryNet()
    reports: list[WorkerStatus] = []
    watching = asyncio.Event()

    async def take(some: Sequence[bytes]) -> None:
        reports.extend(msgspec.json.decode(report, type=WorkerStatus) for report in some)
        watching.set()

    async with asyncio.timeout(20), AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        await stack.enter_async_context(running(parts[:1], home=tmp_path, net=net))
        async with running(parts[1:], home=tmp_path, net=net):
            watch = group.create_task(
                gateway.service("inference").call(WATCH_STATUS, Nothing(), timeout_s=15, sink=take)
            )
            await watching.wait()
        try:
            await watch
        except HyperinferError as error:
            pytest.fail(f"the watch should have ended well: {error}")
    assert [report.draining for report in (reports[0], reports[-1])] == [False, True]
