"""A worker with the embedded engine is killed in the middle of real answers, and they go on at another one."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from hyperinfer.testing.eventually import eventually

from .processes import Machine, machine
from .streams import FULL, Streams, told

pytestmark = [pytest.mark.slow, pytest.mark.needs_model, pytest.mark.timeout(180)]

STREAMS = 4
STORY = {
    "messages": [{"role": "user", "content": "Tell me a long story about the sea."}],
    "max_tokens": 120,
    "temperature": 0,
    "logit_bias": {"2": -100},  # the token that ends an answer: every one shall be as long as it may be
}


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Machine]:
    engine = {"ENABLED": "true", "THREADS": "1", "SLOTS": "4", "CONTEXT_TOKENS": "512"}
    settings = {f"HYPERINFER_INFERENCE__LLAMACPP__{name}": value for name, value in engine.items()}
    settings["HYPERINFER_INFERENCE__ECHO__ENABLED"] = "false"
    with machine(tmp_path, "auth", "gateway", "inference-a", "inference-b", **settings) as one:
        yield one


async def test_four_streams_survive_the_death_of_one_of_two_workers(processes: Machine) -> None:
    async def both_ready() -> bool:
        _, body, _ = await asyncio.to_thread(processes.call, "GET", "/api/workers")
        return [model["state"] for worker in body["workers"] for model in worker["models"]].count("ready") == 2

    await eventually(both_ready, timeout_s=60)
    streams = Streams(processes.url, processes.key, expected=None, body=STORY)
    running = asyncio.create_task(streams.run(STREAMS))

    async def under_way() -> bool:
        return sum(len(stream.text) > 40 for stream in streams.all) == STREAMS

    await eventually(under_way, timeout_s=60)
    busiest = max(("a", "b"), key=lambda rack: busy_at(processes, rack))
    before = [stream.text for stream in streams.all]
    await asyncio.to_thread(processes.children[f"inference-{busiest}"].kill)
    await running
    told(streams, "SIGKILL of a worker with the embedded engine")
    assert dict(streams.counts) == {FULL: STREAMS}, [stream.error for stream in streams.all]
    for stream, text in zip(streams.all, before, strict=True):
        assert stream.text.startswith(text)
        assert len(stream.text) > len(text)
        assert stream.reason == "length"
        assert abs(stream.tokens - 120) <= 3, "a text that is cut may be other tokens than those that it was said in"


def busy_at(one: Machine, rack: str) -> int:
    """Slots that are taken at a worker."""
    _, body, _ = one.call("GET", "/api/workers")
    return sum(
        model["busy"]
        for worker in body["workers"]
        if worker["name"] == f"inference-{rack}"
        for model in worker["models"]
    )
