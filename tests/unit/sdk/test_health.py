"""What administrators see of the swarm's health by the client library, against the real edge."""

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from hyperinfer.contracts import metrics
from hyperinfer.contracts.logs import LogPage, LogQuery
from hyperinfer.contracts.method import Meta, Nothing
from hyperinfer.errors import BackendFailed, BadRequest, Draining, PeerLost, Unavailable
from hyperinfer.kernel.calls import Send
from hyperinfer.sdk.calls import Calls
from hyperinfer.testing.gateway import FakeGateway, always
from hyperinfer.testing.reach import Reach

AT = "2026-01-01T00:00:00Z"
WHEN = datetime(2026, 1, 1, tzinfo=UTC)
ALERT = metrics.Alert("a-1", "disk", "warning", "firing", "Full.", "Delete.", {"worker": "gpu"}, 0.9, AT)
HEALTH = metrics.SystemHealth(
    status="warning",
    at=AT,
    workers=(
        metrics.WorkerHealth("ab", "gpu", "inference", "ready", seen_at=AT, figures=metrics.Figures(latency_p95_s=0.5)),
    ),
    alerts=(ALERT,),
)
LINES = LogPage(
    lines=(msgspec.Raw(b'{"event":"one","error":"of its own"}'), msgspec.Raw(b'{"event":"two"}')),
    missing={"gpu": "It is away."},
)


def watching(*chunks: metrics.SystemHealth, then: Exception | None = None) -> Any:
    async def answer(request: Nothing, meta: Meta, sink: Send | None) -> Nothing:
        assert sink is not None
        for chunk in chunks:
            await sink([msgspec.json.encode(chunk)])
        if then is not None:
            raise then
        return Nothing()

    return answer


async def test_the_health_of_the_swarm(reach: Reach) -> None:
    with reach(FakeGateway(getSystemHealth=always(HEALTH))) as way:
        async with way.client() as client:
            health = await client.admin.system()
    assert (health.at, health.alerts[0].labels, health.alerts[0].since) == (WHEN, {"worker": "gpu"}, WHEN)
    assert health.workers[0].figures.latency_p95_s == 0.5


async def test_it_is_watched_to_its_end(reach: Reach) -> None:
    with reach(FakeGateway(watchSystem=watching(HEALTH, HEALTH))) as way:
        async with way.client() as client:
            assert [one.status async for one in client.admin.watch_system()] == ["warning", "warning"]


async def test_what_breaks_it_off_is_raised(reach: Reach) -> None:
    with reach(FakeGateway(watchSystem=watching(HEALTH, then=Draining("It is stopping.")))) as way:
        async with way.client() as client, aclosing(client.admin.watch_system()) as seen:
            assert (await anext(seen)).status == "warning"
            with pytest.raises(Unavailable, match="stopping"):
                await anext(seen)


async def test_who_leaves_hangs_up(reach: Reach) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def endless(request: Nothing, meta: Meta, sink: Send | None) -> Nothing:
        assert sink is not None
        try:
            await sink([msgspec.json.encode(HEALTH)])
            await asyncio.Event().wait()
        finally:
            loop.call_soon_threadsafe(ended.set)
        return Nothing()

    with reach(FakeGateway(watchSystem=endless)) as way:
        async with way.client() as client:
            async with aclosing(client.admin.watch_system()) as seen:
                await anext(seen)
            async with asyncio.timeout(2):
                await ended.wait()


async def test_history_alerts_and_silence(reach: Reach) -> None:
    history = metrics.History(start=1.0, step_s=10, series=(metrics.Series("cpu", "ab", values=(None, 0.5)),))
    fake = FakeGateway(
        getMetricHistory=always(history),
        listAlerts=always(metrics.Alerts((ALERT,))),
        silenceAlert=always(ALERT),
        testAlerts=always(metrics.AlertsTried((metrics.AlertTried("mail", "It is away.", 2.0),))),
    )
    with reach(fake) as way:
        async with way.client() as client:
            [tried] = await client.admin.test_alerts()
            assert (tried.receiver, tried.error, tried.took_s) == ("mail", "It is away.", 2.0)
            fake.calls.clear()
            assert (await client.admin.history(("cpu",), since=WHEN, step_s=10)).series[0].values == (None, 0.5)
            await client.admin.history()
            assert (await client.admin.alerts(past=True))[0].id == "a-1"
            await client.admin.alerts()
            assert (await client.admin.silence("a-1", minutes=0)).rule == "disk"
            with pytest.raises(BadRequest):
                await client.admin.silence("../a")
    assert [request for _, request, _ in fake.calls] == [
        metrics.HistoryQuery(figures=("cpu",), since="2026-01-01T00:00:00+00:00", step_s=10),
        metrics.HistoryQuery(figures=metrics.Figures.__struct_fields__),
        metrics.AlertQuery(past=True),
        metrics.AlertQuery(),
        metrics.SilenceAlert(id="a-1", minutes=0),
    ]


@pytest.mark.parametrize("follow", [False, True])
async def test_log_lines_and_who_is_missing(reach: Reach, follow: bool) -> None:
    async def gather(request: LogQuery, meta: Meta, sink: Send | None) -> LogPage:
        assert request == LogQuery(worker="gpu", level="error", limit=2, follow=follow)
        if sink is None:
            return LINES
        await sink([msgspec.json.encode(LINES)])
        return LogPage()

    with reach(FakeGateway(gatherLogs=gather)) as way:
        async with way.client() as client:
            lines = [one async for one in client.admin.logs(follow=follow, worker="gpu", level="error", limit=2)]
    assert lines == [
        {"event": "one", "error": "of its own"},
        {"event": "two"},
        {"missing": {"gpu": "It is away."}},
    ]


async def test_where_nobody_is_missing_nothing_is_said_of_it(reach: Reach) -> None:
    with reach(FakeGateway(gatherLogs=always(LogPage()))) as way:
        async with way.client() as client:
            assert [one async for one in client.admin.logs()] == []


async def test_lines_that_break_off_say_why(reach: Reach) -> None:
    async def broken(request: LogQuery, meta: Meta, sink: Send | None) -> LogPage:
        assert sink is not None
        await sink([msgspec.json.encode(LINES)])
        raise Unavailable("The metrics worker has gone.")

    with reach(FakeGateway(gatherLogs=broken)) as way:
        async with way.client() as client:
            with pytest.raises(Unavailable, match="has gone"):
                async for _ in client.admin.logs(follow=True):
                    pass


class Pieces:
    """A transport that gives these."""

    def __init__(self, *pieces: str) -> None:
        self.pieces = pieces

    async def text(self, request: Any, *, timeout_s: float) -> Any:
        for piece in self.pieces:
            yield piece


@pytest.mark.parametrize(
    ("pieces", "error"),
    [(['{"a": 1}\n'], PeerLost), (['{"a": 1}\n', '{"miss'], PeerLost), (["<html>\n"], BackendFailed)],
)
async def test_lines_without_their_end_are_no_whole(pieces: list[str], error: type[Exception]) -> None:
    calls = Calls(Pieces(*pieces), lambda: "k")  # type: ignore[arg-type]  # what of it is used
    with pytest.raises(error):
        async for _ in calls.lines("/", timeout_s=1):
            pass


async def test_lines_are_cut_where_they_end() -> None:
    calls = Calls(Pieces('\n\n{"a"', ': 1}\n\n{"b": 2}\n{"missing"', ": {}}\n"), lambda: "k")  # type: ignore[arg-type]  # as above
    assert [one async for one in calls.lines("/", timeout_s=1)] == [{"a": 1}, {"b": 2}]


def test_without_asyncio_it_is_the_same(reach: Reach) -> None:
    fake = FakeGateway(watchSystem=watching(HEALTH, HEALTH), gatherLogs=always(LINES))
    with reach(fake) as way, way.blocking() as client:
        assert next(iter(client.admin.watch_system())).status == "warning"
        assert [line.get("event") for line in client.admin.logs()] == ["one", "two", None]
