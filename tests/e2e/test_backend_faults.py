"""Whatever a worker's backend does under a load of streams over a real Hyperswarm, no stream is lost in silence."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from hyperinfer.testing.eventually import eventually
from hyperinfer.testing.servers.openai import Fault, OpenAIModel, OpenAIServer

from .conftest import Starter
from .processes import Machine
from .streams import ERROR, FULL, Streams, told

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]

STREAMS = 50
WORDS = 60
TEXT = " ".join(f"word{number}" for number in range(WORDS))
WORKERS = ("inference-a", "inference-b", "inference-c")


@dataclass
class Swarm:
    """A gateway and three workers, each before a server of its own."""

    machine: Machine
    servers: list[OpenAIServer]

    async def until_ready(self) -> None:
        """Wait until the gateway sees the model at all three workers."""

        async def ready() -> bool:
            _, body, _ = await asyncio.to_thread(self.machine.call, "GET", "/api/workers")
            live = [worker for worker in body["workers"] if worker["state"] == "ready"]
            return [model["state"] for worker in live for model in worker["models"]].count("ready") == len(WORKERS)

        await eventually(ready, timeout_s=40)

    async def mended(self) -> None:
        """End every fault. A worker that has been failing would be avoided for a while: it is started again."""
        for name, server in zip(WORKERS, self.servers, strict=True):
            if server.will.fault != "none":
                server.will.fault = "none"
                await asyncio.to_thread(self.machine.children[name].stop)
                await asyncio.to_thread(self.run, name, server)
        await self.until_ready()
        one = Streams(self.machine.url, self.machine.key, expected=None, body={"max_tokens": 1})

        async def trusted() -> bool:
            """Whether no model is left alone any more: one request at a time tries those that are."""
            await one.run(6)
            _, body, _ = await asyncio.to_thread(self.machine.call, "GET", "/api/workers")
            return not any(worker["broken"] for worker in body["workers"])

        await eventually(trusted, timeout_s=40)
        for server in self.servers:
            server.record.asked.clear()

    def run(self, name: str, server: OpenAIServer) -> None:
        """Start a worker before its server."""
        backend = [{"name": "theirs", "url": server.url, "flavor": "vllm", "slots": 64, "look_every_s": 1}]
        settings = ("echo.enabled=false", "stall_timeout_s=2", f"openai.servers={json.dumps(backend)}")
        self.machine.run(name, *(part for setting in settings for part in ("--set", setting)))

    def streams(self, **body: Any) -> Streams:
        return Streams(self.machine.url, self.machine.key, expected=TEXT, body=body)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def swarm(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Swarm]:
    async with AsyncExitStack() as stack:
        start = Starter()
        stack.push_async_callback(asyncio.to_thread, start.close)
        servers = [await stack.enter_async_context(OpenAIServer.running(OpenAIModel("told"))) for _ in WORKERS]
        machine = Machine(tmp_path_factory.mktemp("swarm"), start)
        await asyncio.to_thread(machine.found, "auth", "gateway", *WORKERS)
        for name in ("auth", "gateway"):
            await asyncio.to_thread(machine.run, name)
        one = Swarm(machine, servers)
        for name, server in zip(WORKERS, servers, strict=True):
            server.will.text = TEXT
            server.will.token_s = 0.03
            await asyncio.to_thread(one.run, name, server)
        await one.until_ready()
        yield one


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def mended(swarm: Swarm) -> AsyncIterator[None]:
    yield
    await swarm.mended()


async def begun(streams: Streams, number: int = STREAMS) -> None:
    """Wait until so many have said something."""

    async def said() -> bool:
        return streams.begun >= number

    await eventually(said, timeout_s=20)


async def test_a_backend_dies_and_comes_back(swarm: Swarm) -> None:
    streams = swarm.streams()
    running = asyncio.create_task(streams.run(STREAMS))
    await begun(streams)
    await swarm.servers[0].stop()
    await running
    told(streams, "a backend dies")
    assert dict(streams.counts) == {FULL: STREAMS}
    await swarm.servers[0].start()
    await swarm.until_ready()


@pytest.mark.parametrize("fault", ["garbage", "stalls", "dies", "huge_line"])
async def test_a_backend_breaks_off_every_answer(swarm: Swarm, fault: Fault) -> None:
    will = swarm.servers[1].will
    will.fault, will.fault_after = fault, 5
    streams = swarm.streams()
    await streams.run(STREAMS)
    told(streams, f"a backend that {fault} after five tokens")
    assert dict(streams.counts) == {FULL: STREAMS}, [one.error for one in streams.all if one.error][:3]
    assert swarm.servers[1].record.bodies("/chat/completions"), "it was asked"


async def test_what_cannot_go_on_ends_with_an_error(swarm: Swarm) -> None:
    will = swarm.servers[2].will
    will.fault, will.fault_after = "dies", 5
    streams = swarm.streams(response_format={"type": "json_object"})
    await streams.run(STREAMS)
    told(streams, "a backend that dies, and an answer that cannot go on")
    failed = streams.counts[ERROR]
    assert 0 < failed < STREAMS
    assert dict(streams.counts) == {FULL: STREAMS - failed, ERROR: failed}
