"""Spans on their way out: written, gathered and sent in batches, beside the requests that they tell of and never before them.

Where a collector hangs, refuses or is away, spans wait up to a bound, and what comes after that is dropped and counted.
"""

import asyncio
import gzip
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import TYPE_CHECKING

import msgspec
import structlog
from prometheus_client import CollectorRegistry, Gauge

from hyperinfer.errors import HyperinferError, Unavailable
from hyperinfer.facilities.metrics import Counters
from hyperinfer.facilities.tasks import background
from hyperinfer.facilities.tracing.otlp import Encoder
from hyperinfer.facilities.tracing.settings import TracingSettings
from hyperinfer.facilities.tracing.span import Span, Value
from hyperinfer.facilities.tracing.tracer import Tracer
from hyperinfer.protocol.typed_json import UNREADABLE

if TYPE_CHECKING:
    import aiohttp

log = structlog.get_logger(__name__)

MAX_WAITING = 4096
"""Spans that wait to be sent: 3 MB, and what some hundred requests a second leave in ten seconds."""
BATCH = 512
EVERY_S = 1.0
"""How long a span waits for others to go with it."""
ATTEMPTS = 5
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
FAREWELL_S = 2.0
"""How long a worker that stops waits for its last spans to go."""
MAX_REPLY_BYTES = 64 * 1024
TRY_AGAIN = frozenset({429, 502, 503, 504})
"""What the specification of OTLP calls retryable; with anything else the batch is lost."""
GRPC_PORT = ":4317/"

_chance = Random()


class _Partial(msgspec.Struct, frozen=True, rename="camel"):
    rejected_spans: int | str = 0


class _Reply(msgspec.Struct, frozen=True, rename="camel"):
    """As much of an `ExportTraceServiceResponse` as is needed here."""

    partial_success: _Partial | None = None


_reply = msgspec.json.Decoder(_Reply)


class Busy(Unavailable):
    """The collector cannot take this now."""


class Refused(Unavailable):
    """The collector will never take this."""


class Collector:
    """Where batches go. `session` follows no redirects and knows the headers."""

    def __init__(self, session: "aiohttp.ClientSession", settings: TracingSettings) -> None:
        self._session = session
        self._settings = settings
        self._url = settings.url

    async def send(self, body: bytes) -> int:
        """Send a batch, and say how many of its spans were not wanted. Raises `Busy`, `Refused`."""
        import aiohttp

        headers = {"content-type": "application/json"}
        if self._settings.gzip:
            body = await asyncio.to_thread(gzip.compress, body, 1)
            headers["content-encoding"] = "gzip"
        try:
            async with self._session.post(self._url, data=body, headers=headers, allow_redirects=False) as reply:
                said = await reply.content.read(MAX_REPLY_BYTES)
                if reply.status in TRY_AGAIN:
                    raise Busy(f"It answers {reply.status}.", retry_after_s=_seconds(reply.headers.get("retry-after")))
                if not 200 <= reply.status < 300:
                    raise Refused(f"It answers {reply.status}.")
                return _rejected(said)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            hint = ". 4317 takes gRPC; OTLP over HTTP is at 4318" if GRPC_PORT in self._url else ""
            raise Busy(f"It cannot be reached ({type(error).__name__}){hint}.") from error


class Exporter:
    """Takes spans that have ended, and sends them until it is stopped."""

    def __init__(self, collector: Collector, encoder: Encoder, registry: CollectorRegistry) -> None:
        self._collector = collector
        self._encoder = encoder
        self._waiting: list[str] = []  # as text, for objects that stay are looked through by the garbage collector
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        self._well = True
        spans = Counters(
            "ai_platform_trace_spans",
            "Spans by what became of them: sent, dropped (no place to wait in), lost (not taken), rejected.",
            ("outcome",),
            registry=registry,
        )
        self._sent, self._dropped, self._lost, self._rejected = map(
            spans.labels, ("sent", "dropped", "lost", "rejected")
        )
        waiting = Gauge("ai_platform_trace_spans_waiting", "Spans that wait to be sent.", registry=registry)
        waiting.set_function(lambda: len(self._waiting))

    def record(self, span: Span) -> None:
        """Take a span that has ended."""
        waiting = self._waiting
        if len(waiting) >= MAX_WAITING:
            self._dropped.inc()
            return
        waiting.append(self._encoder.span(span))
        if len(waiting) == BATCH:
            self._wake.set()

    def stop(self) -> None:
        """Send what there is, without trying twice, and end."""
        self._stopping.set()
        self._wake.set()

    async def run(self) -> None:
        """Send until stopped."""
        while not self._stopping.is_set() or self._waiting:
            if len(self._waiting) < BATCH and not self._stopping.is_set():
                self._wake.clear()
                await _within(self._wake, EVERY_S)
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            if batch:
                await self._send(self._encoder.batch(batch), len(batch))

    async def _send(self, body: bytes, count: int) -> None:
        pause_s = FIRST_PAUSE_S
        for attempt in range(1, ATTEMPTS + 1):
            try:
                rejected = await self._collector.send(body)
            except HyperinferError as error:
                self._say_ill(error)
                if not isinstance(error, Busy) or attempt == ATTEMPTS or self._stopping.is_set():
                    break
                asked_s = error.details.get("retry_after_s") or pause_s * _chance.uniform(0.5, 1.0)
                await _within(self._stopping, min(asked_s, LONGEST_PAUSE_S))
                pause_s *= 2
            else:
                self._sent.inc(count - min(rejected, count))
                self._rejected.inc(min(rejected, count))
                self._say_well()
                return
        self._lost.inc(count)

    def _say_ill(self, error: HyperinferError) -> None:
        if self._well:
            log.warning("traces_not_taken", reason=error.message, setting="tracing.endpoint")
        self._well = False

    def _say_well(self) -> None:
        if not self._well:
            log.info("traces_taken_again")
        self._well = True


@asynccontextmanager
async def exporting(
    settings: TracingSettings, resource: Mapping[str, Value], *, version: str, registry: CollectorRegistry
) -> AsyncIterator[Tracer | None]:
    """A tracer whose spans go to the collector of the settings, or none if they name none. Raises `ConfigError`."""
    if not settings.endpoint:
        yield None
        return
    import aiohttp

    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=1),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"user-agent": f"hyperinfer/{version}", **settings.sent_headers},
        timeout=aiohttp.ClientTimeout(total=settings.timeout_s),
        auto_decompress=False,
        skip_auto_headers=("accept-encoding",),
    ) as session:
        exporter = Exporter(Collector(session, settings), Encoder(resource, version=version), registry)
        async with background(exporter.run(), name="traces") as running:
            try:
                yield Tracer(
                    exporter.record,
                    ratio=settings.ratio,
                    per_s=settings.per_s,
                    asked_per_s=settings.asked_per_s,
                )
            finally:
                exporter.stop()
                await asyncio.wait([running], timeout=FAREWELL_S)


async def _within(event: asyncio.Event, limit_s: float) -> None:
    """Wait for an event, but no longer."""
    with suppress(TimeoutError):
        async with asyncio.timeout(limit_s):
            await event.wait()


def _seconds(retry_after: str | None) -> float:
    """A `retry-after` in seconds; 0 where it is missing, or a date."""
    return float(retry_after) if retry_after and retry_after.isdecimal() and len(retry_after) < 6 else 0.0


def _rejected(said: bytes) -> int:
    """How many spans of a batch that was taken were not wanted. A collector that says nothing has taken all."""
    try:
        partial = _reply.decode(said).partial_success
        return max(0, int(partial.rejected_spans)) if partial else 0
    except (*UNREADABLE, ValueError):
        return 0
