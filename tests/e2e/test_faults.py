"""Whatever happens to a worker under a load of streams over a real Hyperswarm, no stream is lost in silence, and where
the backend can go on with an answer every one is answered in full."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from hyperinfer.testing.eventually import eventually

from .processes import Machine, machine
from .streams import FULL, Streams, told

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

STREAMS = 50
WORDS = 100
TEXT = " ".join(f"word{number}" for number in range(WORDS))
WORKERS = ("inference-a", "inference-b", "inference-c")


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    talks = {"HYPERINFER_INFERENCE__ECHO__TOKENS": str(WORDS), "HYPERINFER_INFERENCE__ECHO__TOKEN_S": "0.03"}
    home: Path = tmp_path_factory.mktemp("swarm")
    with machine(home, "auth", "gateway", *WORKERS, **talks, HYPERINFER_COMMON__DRAIN_S="20") as one:
        yield one


async def until_ready(one: Machine) -> None:
    """Wait until the gateway sees all three workers ready."""

    async def ready() -> bool:
        _, body, _ = await asyncio.to_thread(one.call, "GET", "/api/workers")
        return [worker["state"] for worker in body["workers"]].count("ready") == len(WORKERS)

    await eventually(ready, timeout_s=30)


async def load(one: Machine) -> tuple[Streams, "asyncio.Task[None]"]:
    """Start all streams, and wait until every one has begun."""
    await until_ready(one)
    streams = Streams(one.url, one.key, expected=TEXT)
    running = asyncio.create_task(streams.run(STREAMS))

    async def begun() -> bool:
        return streams.begun == STREAMS

    await eventually(begun, timeout_s=20)
    return streams, running


def driver_of(one: Machine, name: str) -> psutil.Process:
    """The Hyperswarm driver of a worker's process."""
    [driver] = psutil.Process(one.children[name].process.pid).children()
    return driver


def all_in_full(streams: Streams, fault: str) -> None:
    told(streams, fault)
    assert dict(streams.counts) == {FULL: STREAMS}, [stream.error for stream in streams.all if stream.error][:3]


async def test_a_worker_is_killed(processes: Machine) -> None:
    streams, running = await load(processes)
    await asyncio.to_thread(processes.children["inference-a"].kill)
    await running
    all_in_full(streams, "SIGKILL of a worker")
    await asyncio.to_thread(processes.run, "inference-a")


async def test_a_worker_hangs(processes: Machine) -> None:
    streams, running = await load(processes)
    pid = processes.children["inference-b"].process.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        await running
    finally:
        os.kill(pid, signal.SIGCONT)
    all_in_full(streams, "SIGSTOP of a worker")


async def test_a_workers_driver_is_killed(processes: Machine) -> None:
    streams, running = await load(processes)
    driver_of(processes, "inference-c").kill()
    await running
    all_in_full(streams, "SIGKILL of a worker's driver")


async def test_the_gateways_driver_is_killed(processes: Machine) -> None:
    streams, running = await load(processes)
    driver_of(processes, "gateway").kill()
    await running
    all_in_full(streams, "SIGKILL of the gateway's driver")


async def test_a_worker_leaves_politely(processes: Machine) -> None:
    streams, running = await load(processes)
    child = processes.children["inference-a"]
    child.interrupt()
    await running
    all_in_full(streams, "a worker leaves")
    assert await asyncio.to_thread(child.ended) == 0
    assert not any(stream.headers.get("x-hyperinfer-attempts") for stream in streams.all)
    await asyncio.to_thread(processes.run, "inference-a")
