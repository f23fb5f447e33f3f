"""What a gateway passes on to the metrics worker, for whom, and for how long."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from hyperinfer.contracts import reports
from hyperinfer.contracts.audit import Operation
from hyperinfer.contracts.auth import Principal
from hyperinfer.contracts.logs import LogPage, LogQuery
from hyperinfer.contracts.method import Meta, Nothing
from hyperinfer.contracts.metrics import (
    GET_HISTORY,
    GET_SYSTEM_HEALTH,
    SILENCE_ALERT,
    WATCH_SYSTEM,
    Alert,
    Alerts,
    HistoryQuery,
    SilenceAlert,
    SystemHealth,
)
from hyperinfer.errors import (
    BadRequest,
    Draining,
    Forbidden,
    HyperinferError,
    NotFound,
    PeerUnreachable,
    Unauthenticated,
    Unavailable,
)
from hyperinfer.kernel.calls import Call, Send
from hyperinfer.testing.clock import ManualClock
from hyperinfer.testing.gateway import FakeGateway, always
from hyperinfer.workers.gateway.observing import CHECK_AGAIN_S, PASSED_ON, Observing

ADMIN = Principal(user_id="1", username="ada", email="", role="admin")
HEALTH = SystemHealth(status="ok", at="2026-01-01T00:00:00Z")
ALERT = Alert("a1", "disk", "warning", "firing", "s", "d", {}, 1.0, "2026-01-01T00:00:00Z")
META = Meta(key="hi_secret", request_id="r", traceparent="00-ab-cd-01")


class World:
    """The passing on, before a metrics worker that answers so."""

    def __init__(self, **answers: Any) -> None:
        self.clock = ManualClock()
        self.metrics = FakeGateway(**{name: one if callable(one) else always(one) for name, one in answers.items()})
        self.who: Principal | HyperinferError = ADMIN
        self.noted: list[Operation] = []
        self.audit: HyperinferError | None = None
        self.observing = Observing(self.metrics, self.authenticate, clock=self.clock, note=self.note)
        self.heard: list[bytes] = []
        self.came = asyncio.Event()

    async def authenticate(self, call: Call) -> Principal:
        if isinstance(self.who, HyperinferError):
            raise self.who
        return self.who

    async def note(self, operation: Operation, call: Call) -> None:
        if self.audit is not None:
            raise self.audit
        self.noted.append(operation)

    async def hear(self, chunks: Sequence[bytes]) -> None:
        self.heard += chunks
        self.came.set()

    def call(self, *, send: Send | None = None) -> Call:
        return Call(caller=b"", roles=frozenset(), meta=META, deadline=60.0, who=ADMIN, send=send, remote="192.0.2.1")

    async def ask(self, method: Any, request: Any, *, send: Send | None = None) -> Any:
        [handler] = (one.handler for one in self.observing.routes() if one.method == method)
        return await handler(request, self.call(send=send))


def test_everything_for_administrators_is_passed_on() -> None:
    every = {*PASSED_ON, *reports.PASSED_ON}
    assert {one.method for one in World().observing.routes()} == every
    assert {method.access.kind for method in every} == {"admin"}


async def test_the_metrics_worker_is_asked_without_the_credential() -> None:
    world = World(getSystemHealth=HEALTH)
    assert await world.ask(GET_SYSTEM_HEALTH, Nothing()) == HEALTH
    [(name, _, meta)] = world.metrics.calls
    assert name == "getSystemHealth"
    assert meta == Meta(request_id="r", traceparent="00-ab-cd-01", remote="192.0.2.1")


async def test_without_a_metrics_worker_it_is_said_how_to_have_one() -> None:
    world = World(getSystemHealth=PeerUnreachable("No metrics worker."))
    with pytest.raises(Unavailable, match="`hyperinfer worker --wtype metrics`") as caught:
        await world.ask(GET_SYSTEM_HEALTH, Nothing())
    assert type(caught.value) is Unavailable


async def test_a_refusal_is_the_metrics_workers_own() -> None:
    world = World(getMetricHistory=BadRequest("There is no such figure."))
    with pytest.raises(BadRequest, match="no such figure"):
        await world.ask(GET_HISTORY, HistoryQuery(figures=("x",)))


async def test_who_silences_an_alert_is_written_down_first() -> None:
    world = World(listAlerts=Alerts((ALERT,)), silenceAlert=ALERT)
    with capture_logs() as told:
        assert await world.ask(SILENCE_ALERT, SilenceAlert(id="a1", minutes=5)) == ALERT
    [line] = told
    assert (line["event"], line["alert"], line["minutes"], line["by"]) == ("alert_silenced", "a1", 5, "1")
    assert world.noted == [Operation(action="alert.silenced", details={"alert": "a1", "rule": "disk", "minutes": "5"})]


async def test_an_alert_of_auth_being_away_can_be_silenced_meanwhile() -> None:
    world = World(listAlerts=Alerts((ALERT,)), silenceAlert=ALERT)
    world.audit = Unavailable("Accounts cannot be reached.")
    with capture_logs() as told:
        assert await world.ask(SILENCE_ALERT, SilenceAlert(id="a1")) == ALERT
    assert [line["event"] for line in told] == ["not_in_audit_log", "alert_silenced"]


async def test_what_auth_refuses_to_write_down_is_not_silenced() -> None:
    world = World(listAlerts=Alerts((ALERT,)), silenceAlert=ALERT)
    world.audit = Forbidden("This is for administrators.")
    with pytest.raises(Forbidden):
        await world.ask(SILENCE_ALERT, SilenceAlert(id="a1"))
    assert [name for name, _, _ in world.metrics.calls] == ["listAlerts"]


async def test_an_id_that_no_alert_has_is_written_down_nowhere() -> None:
    world = World(listAlerts=Alerts((ALERT,)), silenceAlert=ALERT)
    with pytest.raises(NotFound, match="`hyperinfer alerts`"):
        await world.ask(SILENCE_ALERT, SilenceAlert(id="somebody@example.com"))
    assert world.noted == []
    assert [name for name, _, _ in world.metrics.calls] == ["listAlerts"]


async def test_watching_is_a_stream() -> None:
    with pytest.raises(BadRequest, match="stream"):
        await World().ask(WATCH_SYSTEM, Nothing())


class Watched:
    """A stream that sends when it is told to, and holds back as its reader does."""

    def __init__(self) -> None:
        self.go = asyncio.Semaphore(0)
        self.sent = 0
        self.ended = asyncio.Event()

    async def __call__(self, request: Any, meta: Meta, sink: Send | None) -> Nothing:
        assert sink is not None
        try:
            while True:
                await self.go.acquire()
                await sink([msgspec.json.encode(HEALTH)])
                self.sent += 1
        finally:
            self.ended.set()


async def test_a_stream_is_relayed_as_its_reader_takes_it() -> None:
    watched, room = Watched(), asyncio.Semaphore(1)
    world = World(watchSystem=watched)
    took = asyncio.Event()

    async def slow(chunks: Sequence[bytes]) -> None:
        await room.acquire()
        await world.hear(chunks)
        took.set()

    task = asyncio.create_task(world.ask(WATCH_SYSTEM, Nothing(), send=slow))
    for _ in range(3):
        watched.go.release()
    async with asyncio.timeout(5):
        await took.wait()
    await asyncio.sleep(0)
    assert len(world.heard) == 1
    assert watched.sent <= 1
    task.cancel()
    async with asyncio.timeout(5):
        await watched.ended.wait()


@pytest.mark.parametrize(
    "lost",
    [
        Unauthenticated("This key is not valid."),
        Principal(user_id="1", username="ada", email="", role="user"),
        Principal(user_id="1", username="ada", email="", role="admin", scopes=("inference",)),
    ],
    ids=["revoked", "no administrator any more", "scope taken away"],
)
async def test_who_may_not_see_it_any_more_sees_no_more(lost: Principal | HyperinferError) -> None:
    watched = Watched()
    world = World(watchSystem=watched)
    task = asyncio.create_task(world.ask(WATCH_SYSTEM, Nothing(), send=world.hear))
    watched.go.release()
    await world.came.wait()
    world.who = lost
    world.clock.advance(CHECK_AGAIN_S)
    watched.go.release()
    with pytest.raises((Unauthenticated, Forbidden)):
        await task
    assert len(world.heard) == 1
    assert watched.ended.is_set()


async def test_streams_end_when_the_gateway_stops() -> None:
    watched = Watched()
    world = World(watchSystem=watched)
    task = asyncio.create_task(world.ask(WATCH_SYSTEM, Nothing(), send=world.hear))
    watched.go.release()
    await world.came.wait()
    world.observing.stop()
    with pytest.raises(Draining):
        await task
    assert watched.ended.is_set()


async def test_lines_that_are_there_need_no_stream() -> None:
    world = World(gatherLogs=LogPage())
    gather = next(method for method in PASSED_ON if method.name == "gatherLogs")
    assert await world.ask(gather, LogQuery()) == LogPage()
