"""What administrators see from the command line: the swarm once, its alerts, and how a lost connection is made again."""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from tests.unit.edge.samples import ALERT, HEALTH, REPLIES, watched

from hyperinfer.cli import alerts_here
from hyperinfer.cli.live import feed as feeds
from hyperinfer.cli.live.feed import Feed
from hyperinfer.cli.live.here import found_here
from hyperinfer.cli.live.sources import Behind, source_of
from hyperinfer.cli.live.watched import Watched
from hyperinfer.contracts import metrics
from hyperinfer.contracts.method import Meta, Nothing
from hyperinfer.edge.shapes import shown
from hyperinfer.errors import Forbidden, Unavailable
from hyperinfer.kernel.calls import Send
from hyperinfer.testing.clock import ManualClock
from hyperinfer.testing.gateway import FakeGateway, always

from .conftest import Command

TRIED = (metrics.AlertTried("mail", took_s=0.5),)
FOUND = ("listModels", "listWorkers", "getSystemHealth", "getMetricHistory", "listAlerts", "silenceAlert", "testAlerts")


@pytest.fixture
def gateway() -> FakeGateway:
    answers = {name: always(REPLIES[name]) for name in FOUND}
    return FakeGateway(**answers, watchSystem=watched)


# --- top -----------------------------------------------------------------------------------------------------


def test_where_nothing_can_be_drawn_it_is_printed_once(command: Command, url: str) -> None:
    for words in (("top",), ("top", "--once")):
        done = command(*words)
        assert done.code == 0
        assert "gpu" in done.out
        assert "lost" in done.out
        assert "critical: gpu is lost. Start it." in done.out
        assert "\x1b" not in done.out


def test_what_workers_of_one_process_share_is_shown_once(command: Command, url: str, gateway: FakeGateway) -> None:
    figures = metrics.Figures(cpu=0.5, memory_bytes=300 * 1024 * 1024)
    first = metrics.WorkerHealth("ab", "gpu", "inference", "ready", process="p", figures=figures)
    others = (msgspec.structs.replace(first, key=key, name=key, process=process) for key, process in ("cp", "dq"))
    gateway.answers["getSystemHealth"] = always(msgspec.structs.replace(HEALTH, workers=(first, *others)))
    assert [line.split()[7:9] for line in command("top").out.splitlines() if " ready " in line] == [
        ["50", "%"],
        ['"', '"'],
        ["50", "%"],
    ]


def test_it_is_json_for_scripts(command: Command, url: str, gateway: FakeGateway) -> None:
    assert json.loads(command("top", "--once", "--json").out)["workers"][0]["name"] == "gpu"

    async def twice(request: Nothing, meta: Meta, sink: Send | None) -> Nothing:
        assert sink is not None
        await sink([msgspec.json.encode(HEALTH)] * 2)
        return Nothing()

    gateway.answers["watchSystem"] = twice
    lines = command("top", "--json").out.splitlines()
    assert [json.loads(line)["status"] for line in lines] == ["critical", "critical"]


def test_who_may_not_look_is_told_how_to(command: Command, url: str, gateway: FakeGateway) -> None:
    gateway.answers["getSystemHealth"] = always(Forbidden("getSystemHealth is for administrators."))
    done = command("top")
    assert done.code == 1
    assert "hyperinfer login" in done.err


# --- alerts --------------------------------------------------------------------------------------------------


def test_alerts_are_listed_with_what_helps(command: Command, url: str, gateway: FakeGateway) -> None:
    done = command("alerts")
    assert done.out.split("\n")[1].split()[:3] == ["a1", "critical", "firing"]
    assert "Start it." in done.err
    assert json.loads(command("alerts", "--past", "--json").out)[0]["rule"] == "worker_lost"
    assert gateway.calls[-1][1] == metrics.AlertQuery(past=True)
    gateway.answers["listAlerts"] = always(metrics.Alerts())
    assert "All is well." in command("alerts").err


@pytest.mark.parametrize(("time", "minutes"), [("2h", 120), ("7d", 7 * 24 * 60), ("0m", 0)])
def test_an_alert_is_silenced_by_the_beginning_of_its_id(
    command: Command, url: str, gateway: FakeGateway, time: str, minutes: int
) -> None:
    assert command("alerts", "silence", "a", "--for", time).code == 0
    assert gateway.calls[-1][1] == metrics.SilenceAlert(id="a1", minutes=minutes)


def test_it_is_said_until_when(command: Command, url: str, gateway: FakeGateway) -> None:
    until = msgspec.structs.replace(ALERT, silenced_until="2026-01-01T12:00:00Z")
    gateway.answers["silenceAlert"] = always(until)
    assert "Silenced until 2026-01-01" in command("alerts", "silence", "a1").out


def test_who_is_told_is_tested(command: Command, url: str, gateway: FakeGateway) -> None:
    done = command("alerts", "test")
    assert done.code == 0
    assert done.out.splitlines()[1].split() == ["mail", "told", "0.5", "s"]
    refused = metrics.AlertTried("pager", error="It answers with status \x1b[31m500.")
    gateway.answers["testAlerts"] = always(metrics.AlertsTried((*TRIED, refused)))
    done = command("alerts", "test")
    assert done.code == 1
    assert "status" in done.out
    assert "\x1b" not in done.out
    as_json = json.loads(command("alerts", "test", "--json").out)
    assert [one["receiver"] for one in as_json] == ["mail", "pager"]


def test_that_nobody_is_told_is_no_success(command: Command, url: str, gateway: FakeGateway) -> None:
    gateway.answers["testAlerts"] = always(metrics.AlertsTried())
    done = command("alerts", "test")
    assert (done.code, "mail.host" in done.err) == (1, True)


@pytest.mark.parametrize("words", [("b",), ("a",), ("a1", "--for", "8d"), ("a1", "--for", "soon")])
def test_what_cannot_be_silenced_is_said(
    command: Command, url: str, gateway: FakeGateway, words: tuple[str, ...]
) -> None:
    two = (msgspec.structs.replace(ALERT, id="a2"), ALERT)
    gateway.answers["listAlerts"] = always(metrics.Alerts(alerts=two))
    assert command("alerts", "silence", *words).code == 1
    assert "silenceAlert" not in [name for name, _, _ in gateway.calls]


# --- status --------------------------------------------------------------------------------------------------


def test_administrators_see_every_worker_behind_a_gateway(command: Command, url: str) -> None:
    done = command("status", "--gateway")
    assert "gpu" in done.out
    assert "critical: gpu is lost." in done.out
    assert json.loads(command("status", "--gateway", "--json").out)["system"]["status"] == "critical"


@pytest.mark.parametrize(
    "error", [Forbidden("For administrators."), Unavailable("No metrics worker.", retry_after_s=30)]
)
def test_others_see_what_they_always_saw(command: Command, url: str, gateway: FakeGateway, error: Exception) -> None:
    gateway.answers["getSystemHealth"] = always(error)
    done = command("status", "--gateway")
    assert "answers in" in done.out
    assert "critical" not in done.out


async def lines(*text: str) -> AsyncIterator[bytes]:
    for line in text:
        yield line.encode() + b"\n"


async def test_what_fires_here_is_read_off_the_metrics() -> None:
    name = 'ai_platform_alerts{worker="m",wtype="metrics",'
    found = await alerts_here.counted(
        lines(
            "# TYPE ai_platform_alerts gauge",
            f'{name}severity="critical",state="pending"}} 4.0',
            f'{name}severity="critical",state="firing"}} 1.0',
            f'{name}severity="warning",state="firing"}} 2.0',
            f'{name}severity="info",state="firing"}} 0.0',
        )
    )
    assert found == {"critical": 1, "warning": 2, "info": 0}
    assert alerts_here.sentence(found).startswith("1 critical, 2 warning; ")
    assert alerts_here.sentence({}) == "none"
    assert await alerts_here.counted(lines("up 1.0")) is None


# --- the feed ------------------------------------------------------------------------------------------------


class Told:
    """Counts how often the screen would be drawn again."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()

    def __call__(self) -> None:
        self.changed.set()

    async def next(self) -> None:
        async with asyncio.timeout(5):
            await self.changed.wait()
        self.changed.clear()


async def test_a_lost_connection_is_made_again(url: str, gateway: FakeGateway) -> None:
    clock, seen, told = ManualClock(), Watched(""), Told()
    feed = Feed(Behind(None), seen, clock=clock)
    feed.told = told
    await feed.first()
    assert seen.gateway == url
    assert seen.shown is not None
    gateway.answers["watchSystem"] = always(Unavailable("The metrics worker has gone.", retry_after_s=30))
    task = asyncio.create_task(feed.run())
    await told.next()
    assert seen.trouble == "The metrics worker has gone. Trying again."

    async def on(request: Any, meta: Meta, sink: Send | None) -> Nothing:
        assert sink is not None
        await sink([msgspec.json.encode(HEALTH)])
        await asyncio.Event().wait()
        return Nothing()

    gateway.answers["watchSystem"] = on
    while seen.trouble:
        clock.advance(max(feeds.PAUSES_S))
        await told.next()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_cannot_be_mended_ends_it(url: str, gateway: FakeGateway) -> None:
    feed = Feed(Behind(None), Watched(""), clock=ManualClock())
    gateway.answers["watchSystem"] = always(Forbidden("You are no administrator any more."))
    with pytest.raises(Forbidden):
        await feed.run()


async def test_a_gateway_that_keeps_no_history_is_watched_all_the_same(url: str, gateway: FakeGateway) -> None:
    gateway.answers["getMetricHistory"] = always(Unavailable("None is kept.", retry_after_s=30))
    seen = Watched("")
    await Feed(Behind(None), seen, clock=ManualClock()).first()
    assert len(seen.requests_per_s) == 1


# --- the metrics worker of this machine ----------------------------------------------------------------------


@contextlib.asynccontextmanager
async def own_port(system: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/system", system)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_who_runs_the_metrics_worker_needs_no_account(home: Path) -> None:
    told_by_it = msgspec.json.encode(shown(HEALTH))
    asked: list[str | None] = []

    async def system(request: web.Request) -> web.Response:
        asked.append(request.headers.get("Authorization"))
        return web.Response(body=told_by_it, content_type="application/json")

    async with own_port(system) as url:
        (home / "config").mkdir()
        (home / "config" / "metrics.json").write_text('{"observe": {"token": "a long token"}}')
        assert await found_here() is None
        told = {"wtype": "metrics", "name": "metrics", "pid": os.getpid(), "state": "running", "version": "1"}
        told |= {"publicKey": "ab", "startedAt": "2026-01-01T00:00:00Z", "addresses": {"observe": url}}
        (home / "status").mkdir()
        (home / "status" / "metrics.json").write_text(json.dumps(told))
        source = await source_of(None)
        assert source.place == "this machine"
        assert (await source.now()).status == "critical"
        assert [alert.id for alert in await source.alerts()] == ["a1"]
        assert asked == ["Bearer a long token"] * 2
        async with contextlib.aclosing(source.watching()) as healths:
            assert (await anext(healths)).workers[0].name == "gpu"
    with pytest.raises(Unavailable):
        await source.now()
