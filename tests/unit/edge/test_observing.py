"""The swarm's health over HTTP: answers that go on until the client has gone, and what is asked of the gateway for them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from hyperinfer.contracts.logs import LogPage, LogQuery
from hyperinfer.contracts.method import Meta
from hyperinfer.contracts.metrics import Figures, HistoryQuery, SilenceAlert
from hyperinfer.edge import live
from hyperinfer.errors import DeadlineExceeded, Draining, Forbidden, Unavailable
from hyperinfer.kernel.calls import Send
from hyperinfer.testing.gateway import FakeGateway, always

from .conftest import Serve
from .samples import ALERT, HEALTH, KEY, gateway_of

EVENTS = "/api/admin/system/events"
LOGS = "/api/admin/logs"
CHUNK = msgspec.json.encode(HEALTH)

Stream = Callable[[Send], Awaitable[Any]]


def streaming(stream: Stream, name: str = "watchSystem") -> FakeGateway:
    """A gateway whose stream does this."""

    async def answer(request: Any, meta: Meta, sink: Send | None) -> Any:
        assert sink is not None
        return await stream(sink)

    return FakeGateway(**{name: answer})


def datas(text: str) -> list[str]:
    """What the events of a stream hold."""
    return [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]


async def test_health_comes_as_events_and_an_end_mark(serve: Serve) -> None:
    client = await serve(gateway_of())
    async with client.get(EVENTS, headers=KEY) as answer:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["x-accel-buffering"] == "no"
        told, end = datas(await answer.text())
    assert end == "[DONE]"
    shown = msgspec.json.decode(told)
    assert shown["workers"][0]["links"][0]["round_trip_s"] is None
    assert shown["alerts"][0]["labels"] == {"worker": "gpu"}
    assert "roundTripS" not in told


async def test_what_is_refused_at_once_has_its_status(serve: Serve) -> None:
    for error, status in ((Unavailable("No metrics worker."), 503), (Forbidden("For administrators."), 403)):
        for path in (EVENTS, f"{LOGS}?follow=true"):
            client = await serve(gateway_of(watchSystem=error, gatherLogs=error))
            async with client.get(path, headers=KEY) as answer:
                assert answer.status == status
                assert (await answer.json())["error"]["message"] == error.message


async def test_an_answer_begins_although_nothing_has_come_and_shows_life(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "BEGIN_S", 0.01)
    monkeypatch.setattr(live, "BEAT_S", 0.01)

    async def silent(sink: Send) -> None:
        await asyncio.Event().wait()

    client = await serve(streaming(silent))
    async with client.get(EVENTS, headers=KEY) as answer:
        assert answer.status == 200
        for _ in range(3):
            assert await answer.content.readuntil(b"\n\n") == b": alive\n\n"


@pytest.mark.parametrize("path", [EVENTS, f"{LOGS}?follow=true"])
async def test_the_end_of_the_client_is_the_end_of_the_stream(serve: Serve, path: str) -> None:
    ended = asyncio.Event()

    async def endless(sink: Send) -> None:
        try:
            await sink([CHUNK if path == EVENTS else msgspec.json.encode(LogPage(lines=(msgspec.Raw(b"{}"),)))])
            await asyncio.Event().wait()
        finally:
            ended.set()

    client = await serve(streaming(endless, "watchSystem" if path == EVENTS else "gatherLogs"))
    async with client.get(path, headers=KEY) as answer:
        await answer.content.readany()
    async with asyncio.timeout(1):
        await ended.wait()


async def test_a_reader_that_takes_nothing_holds_the_stream_back_and_is_given_up(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "TAKE_S", 0.3)
    ended = asyncio.Event()
    pushed = 0

    async def endless(sink: Send) -> None:
        nonlocal pushed
        large = msgspec.json.encode(msgspec.structs.replace(HEALTH, workers=HEALTH.workers * 500))
        try:
            while True:
                await sink([large])
                pushed += 1
                await asyncio.sleep(0)
        finally:
            ended.set()

    client = await serve(streaming(endless))
    async with client.get(EVENTS, headers=KEY):
        async with asyncio.timeout(20):
            await ended.wait()
    assert pushed < 200


@pytest.mark.parametrize("path", [EVENTS, f"{LOGS}?follow=true"])
async def test_a_stream_that_breaks_off_says_why(serve: Serve, path: str) -> None:
    async def broken(sink: Send) -> None:
        await sink([CHUNK if path == EVENTS else b"{}"])
        raise Draining("This gateway is stopping.")

    client = await serve(streaming(broken, "watchSystem" if path == EVENTS else "gatherLogs"))
    async with client.get(path, headers=KEY) as answer:
        assert answer.status == 200
        text = await answer.text()
    last = datas(text)[-1] if path == EVENTS else text.splitlines()[-1]
    assert msgspec.json.decode(last)["error"]["message"] == "This gateway is stopping."


async def test_the_end_of_the_time_allowed_is_no_failure(serve: Serve) -> None:
    async def over(sink: Send) -> None:
        await sink([CHUNK])
        raise DeadlineExceeded("It is over.")

    client = await serve(streaming(over))
    async with client.get(EVENTS, headers=KEY) as answer:
        assert datas(await answer.text())[-1] == "[DONE]"


@pytest.mark.parametrize("path", [EVENTS, LOGS, f"{LOGS}?follow=true"])
async def test_a_head_request_streams_nothing(serve: Serve, path: str) -> None:
    client = await serve(gateway_of())
    async with asyncio.timeout(5), client.head(path, headers=KEY) as answer:
        assert answer.status == 200
        assert await answer.read() == b""


async def test_history_takes_figures_with_commas_or_all(serve: Serve) -> None:
    gateway = gateway_of()
    client = await serve(gateway)
    async with client.get("/api/admin/metrics/history?figures=cpu,%20queued&worker=ab&step_s=10", headers=KEY) as one:
        assert (await one.json())["series"][0]["values"] == [0.5, None]
    async with client.get("/api/admin/metrics/history?since=2026-01-01T00:00:00Z", headers=KEY) as all_of_them:
        assert all_of_them.status == 200
    for wrong, param in (("figures=", "figures"), ("figures=a%20b", "figures[0]"), ("until=2026-01-01", "until")):
        async with client.get(f"/api/admin/metrics/history?{wrong}", headers=KEY) as answer:
            assert answer.status == 400
            assert (await answer.json())["error"]["param"] == param
    first, second = (request for _, request, _ in gateway.calls)
    assert first == HistoryQuery(figures=("cpu", "queued"), worker="ab", step_s=10)
    assert second == HistoryQuery(figures=Figures.__struct_fields__, since="2026-01-01T00:00:00Z")


@pytest.mark.parametrize("path", [LOGS, "/api/admin/metrics/history"])
@pytest.mark.parametrize(
    "moment", ["yesterday", "2026-01-01", "0001-01-01T00:00:00%2B23:59", "9999-12-31T23:59:59-23:59"]
)
async def test_what_is_no_moment_is_refused_before_anybody_is_asked(serve: Serve, path: str, moment: str) -> None:
    gateway = gateway_of()
    client = await serve(gateway)
    async with client.get(f"{path}?since={moment}", headers=KEY) as answer:
        assert (answer.status, (await answer.json())["error"]["param"]) == (400, "since")
    assert not gateway.calls


async def test_alerts_are_listed_and_silenced(serve: Serve) -> None:
    gateway = gateway_of()
    client = await serve(gateway)
    async with client.get("/api/admin/alerts?past=true", headers=KEY) as answer:
        assert [alert["id"] for alert in (await answer.json())["data"]] == [ALERT.id]
    async with client.post("/api/admin/alerts/a1/silence", json={"minutes": 5}, headers=KEY) as answer:
        assert (await answer.json())["rule"] == ALERT.rule
    assert gateway.calls[1][1] == SilenceAlert(id="a1", minutes=5)
    for minutes in (-1, 100_000):
        async with client.post("/api/admin/alerts/a1/silence", json={"minutes": minutes}, headers=KEY) as answer:
            assert answer.status == 400


async def test_who_is_told_of_alerts_is_tested(serve: Serve) -> None:
    client = await serve(gateway_of())
    async with client.post("/api/admin/alerts/test", headers=KEY) as answer:
        assert (await answer.json())["data"] == [{"receiver": "mail", "error": "", "took_s": 0.5}]


async def test_log_lines_are_lines_and_the_last_one_says_who_is_missing(serve: Serve) -> None:
    gateway = gateway_of()
    client = await serve(gateway)
    async with client.get(f"{LOGS}?request_id=r&level=warning&limit=3", headers=KEY) as answer:
        assert answer.content_type == "application/x-ndjson"
        lines = [msgspec.json.decode(line) for line in (await answer.text()).splitlines()]
    assert lines == [{"event": "one"}, {"event": "two"}, {"missing": {"gpu": "It is away."}}]
    assert gateway.calls[0][1] == LogQuery(request_id="r", level="warning", limit=3)


async def test_followed_lines_come_page_by_page(serve: Serve) -> None:
    async def pages(sink: Send) -> LogPage:
        first = LogPage(lines=(msgspec.Raw(b'{"event": "one"}'),), missing={"gpu": "It is away."})
        await sink([msgspec.json.encode(first), msgspec.json.encode(LogPage(lines=(msgspec.Raw(b"{}"),)))])
        return LogPage(missing={"web": "It has gone."})

    client = await serve(streaming(pages, "gatherLogs"))
    async with client.get(f"{LOGS}?follow=true", headers=KEY) as answer:
        lines = [msgspec.json.decode(line) for line in (await answer.text()).splitlines() if line]
    assert lines == [{"event": "one"}, {}, {"missing": {"gpu": "It is away.", "web": "It has gone."}}]


async def test_a_fault_of_ours_is_logged_with_its_route_and_nothing_that_a_client_wrote(serve: Serve) -> None:
    client = await serve(FakeGateway(silenceAlert=always(RuntimeError("secret"))))
    with capture_logs() as told:
        async with client.post("/api/admin/alerts/mine/silence?x=1", json={}, headers=KEY) as answer:
            assert answer.status == 500
    [line] = [line for line in told if line["event"] == "request_failed"]
    assert (line["method"], line["route"]) == ("POST", "/api/admin/alerts/{id}/silence")
    assert "mine" not in str({name: value for name, value in line.items() if name != "exc_info"})
