"""The health of the swarm as it is told to those who ask, and to those who watch."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from hyperinfer.contracts.metrics import Alert, WorkerHealth
from hyperinfer.errors import Overloaded
from hyperinfer.workers.metrics.collecting.swarm import Swarm
from hyperinfer.workers.metrics.service import MAX_WATCHING, SystemFeed, system_health

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def swarm() -> Swarm:
    made = Swarm(now=NOW, remember_s=60.0)
    made.workers = (WorkerHealth(key="k", name="n", wtype="auth", state="ready"),)
    return made


def alert(severity: str, state: str = "firing", silenced_until: str | None = None) -> Alert:
    return Alert(
        id="1",
        rule="r",
        severity=severity,  # type: ignore[arg-type]
        state=state,  # type: ignore[arg-type]
        summary="",
        do="",
        labels={},
        value=None,
        since="",
        silenced_until=silenced_until,
    )


@pytest.mark.parametrize(
    ("alerts", "status"),
    [
        ((), "ok"),
        ((alert("info"),), "ok"),
        ((alert("warning"), alert("critical", "pending")), "warning"),
        ((alert("warning"), alert("critical")), "critical"),
        ((alert("critical", silenced_until="2026-01-02T00:00:00Z"),), "ok"),
    ],
)
def test_the_status_is_that_of_the_worst_alert_that_fires(alerts: tuple[Alert, ...], status: str) -> None:
    assert system_health(swarm(), alerts).status == status


class Reader:
    """Reads a chunk when it is told to."""

    def __init__(self) -> None:
        self.chunks: list[dict[str, Any]] = []
        self.came = asyncio.Event()
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    async def __call__(self, chunks: Sequence[bytes]) -> None:
        self.chunks += map(json.loads, chunks)
        self.came.set()
        await self.may_go_on.wait()


async def test_those_who_watch_are_told_now_and_after_each_collection() -> None:
    view = swarm()
    feed, reader = SystemFeed(view), Reader()
    watching = asyncio.create_task(feed.watch(reader))
    await reader.came.wait()
    assert reader.chunks[0]["workers"][0]["name"] == "n"
    reader.came.clear()
    view.now = datetime(2026, 1, 2, tzinfo=UTC)
    feed.collected()
    await reader.came.wait()
    assert [chunk["at"][:10] for chunk in reader.chunks] == ["2026-01-01", "2026-01-02"]
    feed.end()
    await asyncio.wait_for(watching, 5)


async def test_a_slow_reader_misses_what_is_old_and_holds_up_nobody() -> None:
    view = swarm()
    feed, slow, quick = SystemFeed(view), Reader(), Reader()
    slow.may_go_on.clear()
    async with asyncio.TaskGroup() as group:
        group.create_task(feed.watch(slow))
        group.create_task(feed.watch(quick))
        for day in range(1, 6):
            quick.came.clear()
            view.now = datetime(2026, 1, day, tzinfo=UTC)
            feed.collected()
            await quick.came.wait()
        slow.may_go_on.set()
        slow.came.clear()
        await slow.came.wait()
        feed.end()
    assert [chunk["at"][8:10] for chunk in quick.chunks][-4:] == ["02", "03", "04", "05"]
    assert [chunk["at"][8:10] for chunk in slow.chunks] == ["01", "05"]


async def test_so_many_may_watch_and_no_more() -> None:
    feed = SystemFeed(swarm())
    readers = [Reader() for _ in range(MAX_WATCHING)]
    watching = [asyncio.create_task(feed.watch(reader)) for reader in readers]
    for reader in readers:
        await reader.came.wait()
    with pytest.raises(Overloaded):
        await feed.watch(Reader())
    watching[0].cancel()
    await asyncio.wait(watching[:1])
    reader = Reader()
    watching.append(asyncio.create_task(feed.watch(reader)))
    await reader.came.wait()
    feed.end()
    await asyncio.wait(watching)
