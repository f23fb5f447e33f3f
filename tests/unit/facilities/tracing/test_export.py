"""Sending spans: to a collector that is well, busy, refuses, hangs, or is away."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry

from hyperinfer.facilities.tracing import Kind, Tracer, TracingSettings
from hyperinfer.facilities.tracing import export as sending
from hyperinfer.facilities.tracing.export import ATTEMPTS, BATCH, MAX_WAITING, exporting
from hyperinfer.testing.eventually import eventually
from hyperinfer.testing.servers.otlp import Collector, collecting

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "EVERY_S", 0.02)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as one:
        yield one


class Sending:
    def __init__(self, tracer: Tracer, registry: CollectorRegistry) -> None:
        self.tracer = tracer
        self._registry = registry

    def end(self, count: int = 1) -> None:
        for number in range(count):
            one = self.tracer.start(f"GET /{number % 7}", Kind.SERVER)
            assert one is not None
            self.tracer.end(one)

    def counted(self, outcome: str) -> float:
        return self._registry.get_sample_value("ai_platform_trace_spans_total", {"outcome": outcome}) or 0.0

    async def until(self, outcome: str, count: int) -> None:
        async def holds() -> bool:
            return self.counted(outcome) >= count

        await eventually(holds, timeout_s=20)


@asynccontextmanager
async def exported(
    endpoint: str, *, headers: str = "", gzip: bool = False, timeout_s: float = 5.0
) -> AsyncIterator[Sending]:
    registry = CollectorRegistry()
    settings = TracingSettings(endpoint=endpoint, per_s=100_000, headers=headers, gzip=gzip, timeout_s=timeout_s)
    resource = {"service.name": "hyperinfer-gateway", "service.instance.id": "00"}
    async with exporting(settings, resource, version="1", registry=registry) as tracer:
        assert tracer is not None
        yield Sending(tracer, registry)


async def test_off_there_is_no_tracer_and_no_metric() -> None:
    registry = CollectorRegistry()
    async with exporting(TracingSettings(), {}, version="1", registry=registry) as tracer:
        assert tracer is None
    assert not list(registry.collect())


@pytest.mark.parametrize("gzip", [False, True])
async def test_batches(collector: Collector, gzip: bool) -> None:
    async with exported(collector.url, headers="x-tenant=home", gzip=gzip) as sent:
        sent.end(BATCH + 1)
        await sent.until("sent", BATCH)
    assert len(collector.spans) == BATCH + 1  # the last one goes at the end, whatever time it is
    assert len(collector.bodies) == 2
    assert collector.headers[0]["x-tenant"] == "home"
    assert ("content-encoding" in collector.headers[0]) is gzip


async def test_a_few_do_not_wait_for_more(collector: Collector) -> None:
    async with exported(collector.url) as sent:
        sent.end(3)
        await sent.until("sent", 3)
        assert len(collector.spans) == 3


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_a_busy_collector_is_asked_again_when_it_says(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(sending, "FIRST_PAUSE_S", 20.0)  # what it says counts, and not this
    monkeypatch.setattr(sending, "LONGEST_PAUSE_S", 0.01)
    collector.answers = [(status, {"retry-after": "1"}), (status, {"retry-after": "tomorrow"}), (status, {})]
    async with exported(collector.url) as sent:
        sent.end(2)
        await sent.until("sent", 2)
    assert collector.asked == 4
    assert len(collector.spans) == 2
    assert sent.counted("lost") == 0


@pytest.mark.parametrize("status", [301, 307, 400, 401, 404, 413, 500])
async def test_what_it_will_never_take_is_lost_at_once(collector: Collector, status: int) -> None:
    collector.answers = [(status, {"location": f"{collector.url}/v1/traces"})]
    async with exported(collector.url) as sent:
        sent.end(2)
        await sent.until("lost", 2)
        assert collector.asked == 1
        sent.end()
        await sent.until("sent", 1)


async def test_spans_that_it_rejects_are_counted_so(collector: Collector) -> None:
    collector.says = b'{"partialSuccess": {"rejectedSpans": "2", "errorMessage": "too old"}}'
    async with exported(collector.url) as sent:
        sent.end(5)
        await sent.until("rejected", 2)
        assert sent.counted("sent") == 3


@pytest.mark.parametrize(
    "says",
    [b"", b"thanks", b'{"partialSuccess": null}', b'{"partialSuccess": {"rejectedSpans": "x"}}', b'{"x":' * 5000],
)
async def test_whatever_it_says(collector: Collector, says: bytes) -> None:
    collector.says = says
    async with exported(collector.url) as sent:
        sent.end()
        await sent.until("sent", 1)


async def test_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "FIRST_PAUSE_S", 0.001)
    async with exported(NOWHERE) as sent:
        sent.end(3)
        await sent.until("lost", 3)


async def test_a_collector_that_comes_back_is_sent_what_has_waited(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "FIRST_PAUSE_S", 0.001)
    collector.answers = [(503, {})] * (ATTEMPTS - 1)
    async with exported(collector.url) as sent:
        sent.end(BATCH)
        await sent.until("sent", BATCH)


async def test_while_it_hangs_spans_wait_up_to_a_bound_and_the_end_does_not(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "FAREWELL_S", 0.1)
    collector.goes_on.clear()
    async with exported(collector.url, timeout_s=30.0) as sent:
        sent.end(BATCH)
        await asyncio.to_thread(collector.until_asked, 1)
        sent.end(MAX_WAITING + 1000)
        assert sent.counted("dropped") == 1000
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 3.0
