"""Lines of all workers of a swarm: each shown once, by its owner, merged, and followed as they are written."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog

from hyperinfer.contracts.logs import GATHER_LOGS, READ_LOGS, LogPage, LogQuery
from hyperinfer.contracts.metrics import at_metrics
from hyperinfer.errors import BadRequest, Forbidden, NotFound
from hyperinfer.facilities import log
from hyperinfer.facilities.labels import Labels
from hyperinfer.facilities.net.memory import MemoryNet
from hyperinfer.kernel.compose import Running
from hyperinfer.testing.asking import AskingGateway
from hyperinfer.testing.eventually import eventually
from hyperinfer.testing.inference import FakeInference
from hyperinfer.testing.swarm import part, swarm
from hyperinfer.workers.auth.worker import WORKER as AUTH
from hyperinfer.workers.metrics.worker import WORKER as METRICS

PAGE = msgspec.json.Decoder(LogPage)
GATHER = at_metrics(GATHER_LOGS)


class Stack:
    """A swarm in which one gateway only asks."""

    def __init__(self, workers: dict[str, Running], gateway: AskingGateway) -> None:
        self.workers = workers
        self.gateway = gateway

    async def gather(self, **query: Any) -> tuple[list[dict[str, Any]], dict[str, str]]:
        page = await self.gateway.service("metrics").call(GATHER, LogQuery(**query))
        return [json.loads(bytes(line)) for line in page.lines], page.missing

    async def knows_inference(self) -> bool:
        """Whether the metrics worker has seen that there is one."""
        try:
            return bool(await self.gather(worker="inference"))
        except NotFound:
            return False


@asynccontextmanager
async def stack(home: Path, *, net: MemoryNet | None = None) -> AsyncIterator[Stack]:
    gateway = AskingGateway()
    parts = [part(AUTH, home=home), part(gateway.worker(), home=home), part(METRICS, home=home)]
    async with swarm(parts, home=home, net=net) as workers:
        yield Stack(dict(workers), gateway)


def tell(worker: str, request_id: str, **facts: Any) -> None:
    log.tell("processRequest", "ok", 0.01, Labels(worker, request_id), facts)


class Follower:
    """Takes the pages of a stream."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self.missing: dict[str, str] = {}
        self.began = asyncio.Event()

    async def take(self, chunks: Sequence[bytes]) -> None:
        for page in map(PAGE.decode, chunks):
            self.lines += [json.loads(bytes(line)) for line in page.lines]
            self.missing |= page.missing
        self.began.set()

    async def until(self, count: int) -> None:
        async def there() -> bool:
            return len(self.lines) >= count

        await eventually(there)


@asynccontextmanager
async def following(one: Stack, **query: Any) -> AsyncIterator[Follower]:
    follower = Follower()
    call = one.gateway.service("metrics").call(GATHER, LogQuery(follow=True, **query), sink=follower.take)
    task = asyncio.create_task(call)
    async with asyncio.timeout(10):
        await follower.began.wait()
    yield follower
    task.cancel()
    await asyncio.wait([task], timeout=10)
    assert task.done()


async def test_each_line_is_shown_once_by_its_owner(tmp_path: Path, logs: Path) -> None:
    async with stack(tmp_path) as one:
        tell("gateway", "r1", model="m")
        tell("auth", "r1")
        tell("", "r2")
        structlog.get_logger("x").warning("nobodys")
        lines, missing = await one.gather(limit=1000)
        assert missing == {}
        written = [json.loads(line) for line in (logs / "event.log").read_text().splitlines()]
        shown = [{name: value for name, value in line.items() if name != "member"} for line in lines]
        assert shown == written[: len(shown)]
        members = {line["member"] for line in lines if line.get("worker") == "gateway"}
        assert members == {"gateway"}


async def test_one_requests_lines(tmp_path: Path, logs: Path) -> None:
    async with stack(tmp_path) as one:
        for number in range(5):
            tell("gateway", f"r{number}")
            tell("auth", f"r{number}")
        lines, _ = await one.gather(request_id="r3")
        assert [(line["member"], line["request_id"]) for line in lines] == [("gateway", "r3"), ("auth", "r3")]
        lines, _ = await one.gather(request_id="r3", worker="auth")
        assert [line["member"] for line in lines] == ["auth"]
        lines, _ = await one.gather(limit=2, since="2026-01-01T00:00:00Z", worker="auth")
        assert [line["request_id"] for line in lines] == ["r3", "r4"]
        assert await one.gather(request_id="r3", level="error") == ([], {})


async def test_a_worker_that_is_none_and_a_time_that_is_none(tmp_path: Path, logs: Path) -> None:
    async with stack(tmp_path) as one:
        with pytest.raises(NotFound, match="members list"):
            await one.gather(worker="nobody")
        assert (await one.gather(since="yesterday"))[1].keys() == {"auth", "gateway", "metrics"}


async def test_who_could_not_be_asked_is_told(tmp_path: Path, logs: Path) -> None:
    net = MemoryNet()
    async with stack(tmp_path, net=net) as one:
        async with swarm([part(FakeInference("m").worker(), home=tmp_path)], home=tmp_path, net=net):
            await eventually(one.knows_inference)
            assert (await one.gather())[1] == {}
        lines, missing = await one.gather()
        assert missing.keys() == {"inference"}
        assert missing["inference"].endswith(".")
        assert lines


async def test_lines_are_followed_as_they_are_written(tmp_path: Path, logs: Path) -> None:
    async with stack(tmp_path) as one:
        tell("gateway", "mine")
        tell("gateway", "other")
        async with following(one, request_id="mine") as follower:
            assert [line["member"] for line in follower.lines] == ["gateway"]
            for number in range(3):
                tell("auth", "mine", seq=number)
                tell("gateway", "mine", seq=number)
                tell("gateway", "other")
            await follower.until(7)
            assert [line["seq"] for line in follower.lines if line["member"] == "auth"] == [0, 1, 2]
            assert {line["request_id"] for line in follower.lines} == {"mine"}
            assert len(follower.lines) == 7


async def test_a_worker_that_comes_while_one_follows_is_followed_too(tmp_path: Path, logs: Path) -> None:
    net = MemoryNet()
    late = [part(FakeInference("m").worker(), home=tmp_path)]
    async with (
        stack(tmp_path, net=net) as one,
        following(one, request_id="mine") as follower,
        swarm(late, home=tmp_path, net=net),
    ):
        tell("inference", "mine")
        await follower.until(1)
        assert [line["member"] for line in follower.lines] == ["inference"]


async def test_who_follows_does_not_hold_up_a_stop(tmp_path: Path, logs: Path) -> None:
    loop = asyncio.get_running_loop()
    async with stack(tmp_path) as one, following(one):
        began = loop.time()
    assert loop.time() - began < 4, "it waited for its drain's deadline"


async def test_lines_are_for_the_metrics_worker_alone(tmp_path: Path, logs: Path) -> None:
    async with stack(tmp_path) as one:
        with pytest.raises(Forbidden):
            await one.gateway.service("metrics").call(READ_LOGS, LogQuery())
        with pytest.raises(BadRequest, match="stream"):
            await one.workers["metrics"].own.call(READ_LOGS, LogQuery(follow=True))
        assert (await one.workers["metrics"].own.call(READ_LOGS, LogQuery(limit=1))).lines


async def test_without_a_log_there_are_no_lines(tmp_path: Path) -> None:
    async with stack(tmp_path) as one:
        assert await one.gather() == ([], {})
