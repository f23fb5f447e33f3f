"""What is seen of each call that a worker answers: it is counted, timed, told in the log and traced, in one place for all."""

from collections.abc import Callable
from contextvars import Token
from time import perf_counter
from types import TracebackType
from typing import Any, Protocol, Self

from msgspec.structs import replace
from prometheus_client import CollectorRegistry, Gauge

from hyperinfer.contracts.method import NO_META, Meta, Method
from hyperinfer.facilities import labels, tracing
from hyperinfer.facilities.labels import Labels
from hyperinfer.facilities.metrics import DURATIONS_S, Count, Counters, Distribution, Histograms
from hyperinfer.facilities.tracing import Kind, Parent, Span, Tracer

OK = "ok"
CANCELLED = tracing.CANCELLED
WELL = frozenset({OK, CANCELLED})
"""How calls end by which nothing is wrong."""
UNKNOWN = "unknown"
"""The method of calls that name none of ours."""
FACT = "hyperinfer."
"""What stands before a fact's name in a span, where conventions have none for it."""
SCALAR = (str, int, float, bool)


class Tell(Protocol):
    """Writes down that a call has ended; see `facilities.log`."""

    def __call__(self, method: str, status: str, duration_s: float, labels: Labels, facts: dict[str, Any]) -> None:
        """`facts` are what its handler has noted."""


def tell_nobody(method: str, status: str, duration_s: float, labels: Labels, facts: dict[str, Any]) -> None:
    """Write nothing down."""


class Observation:
    """What is seen of the calls of one worker. `service` is its type, `worker` its name on this machine."""

    def __init__(
        self,
        service: str,
        *,
        registry: CollectorRegistry,
        worker: str = "",
        tracer: Tracer | None = None,
        tell: Tell = tell_nobody,
    ) -> None:
        self.service = service
        self.worker = worker or service
        self.labels = Labels(self.worker)
        self.registry = registry
        self.tracer = tracer
        self.tell = tell
        self._requests = Counters(
            "ai_platform_requests",
            "Calls by outcome: ok, cancelled, or the code of an error.",
            ("service", "method", "status"),
            registry=registry,
        )
        self._durations = Histograms(
            "ai_platform_call_duration_seconds",
            "From a call's arrival to the end of its answer; of methods that machines call again and again, none.",
            ("service", "method"),
            registry=registry,
            buckets=DURATIONS_S,
        )
        self._in_flight = Gauge(
            "ai_platform_requests_in_flight",
            "Calls being answered, without those that machines make again and again and keep open.",
            ("service",),
            registry=registry,
        )
        self._outcomes: dict[tuple[str, str], Count] = {}
        self._timed: dict[str, Distribution] = {}

    def show_in_flight(self, in_flight: Callable[[], int]) -> None:
        """Show how many calls that are not quiet are being answered, whenever somebody looks."""
        self._in_flight.labels(self.service).set_function(in_flight)

    def call(self, method: Method[Any, Any]) -> "Seen":
        """A call that has arrived, to be entered once."""
        return Seen(self, method)

    def refused(self, status: str) -> None:
        """Count a call of a method that there is not."""
        self.count(UNKNOWN, status)

    def count(self, method: str, status: str) -> None:
        """Count one call that has ended so."""
        found = self._outcomes.get((method, status))
        if found is None:
            found = self._outcomes[(method, status)] = self._requests.labels(self.service, method, status)
        found.inc()

    def time(self, method: str, duration_s: float) -> None:
        """Count how long one call took."""
        found = self._timed.get(method)
        if found is None:
            found = self._timed[method] = self._durations.labels(self.service, method)
        found.observe(duration_s)


class Seen:
    """One call under way. `carries` says what came with it; its handler may `note` what the log and the trace shall tell."""

    __slots__ = (
        "_label_token",
        "_method",
        "_observation",
        "_owns_span",
        "_span_token",
        "_started",
        "facts",
        "labels",
        "meta",
        "span",
    )

    def __init__(self, observation: Observation, method: Method[Any, Any]) -> None:
        self._observation = observation
        self._method = method
        self._label_token: Token[Labels] | None = None
        self._span_token: Token[Span | None] | None = None
        self._owns_span = False
        self.meta = NO_META
        self.span: Span | None = None
        self.facts: dict[str, Any] = {}
        self.labels = observation.labels

    def note(self, **facts: Any) -> None:
        """Facts for the log, by the names that `facilities.log` knows; never a text that a person wrote."""
        self.facts.update(facts)

    def carries(self, meta: Meta, *, trusted: bool = True) -> None:
        """What came with the call is known: from here on it has its labels, and its span if its trace is sampled.

        Whether it is, is decided by who calls, if that is somebody `trusted`.
        """
        self.meta, tracer = meta, self._observation.tracer
        parent = tracing.parse(meta.traceparent)
        if tracer is not None and not self._method.quiet:
            self._trace(tracer, parent, trusted=trusted)
        self._label(parent)

    def goes_on(self, meta: Meta) -> None:
        """The same for a call from inside: what it does belongs to the span in which it was made, such as an HTTP request's. Where
        that is not recorded, for whoever made it has decided so, this is not either."""
        self.meta, tracer = meta, self._observation.tracer
        parent = None
        if tracer is not None and not self._method.quiet:
            self.span = tracing.current()
        if self.span is None:
            parent = tracing.parse(meta.traceparent)
            if tracer is not None and not self._method.quiet and (parent is None or parent.sampled):
                self._trace(tracer, parent, trusted=True)
        self._label(parent)

    def __enter__(self) -> Self:
        self._started = perf_counter()
        return self

    def _trace(self, tracer: Tracer, parent: Parent | None, *, trusted: bool) -> None:
        name = self._method.name
        self.span = span = tracer.start(name, Kind.SERVER, parent=parent, trusted=trusted)
        self._span_token = tracing.CURRENT.set(span)
        if span is not None:
            self._owns_span = True
            span.attributes = {"rpc.system.name": tracing.RPC_SYSTEM, "rpc.method": name}
            self.meta = replace(self.meta, traceparent=span.traceparent)
        elif parent is None or parent.sampled:
            self.meta = replace(self.meta, traceparent=tracing.unsampled(parent))

    def _label(self, parent: Parent | None) -> None:
        given, quiet = self.meta.request_id, self._method.quiet
        if not labels.is_request_id(given) and not (quiet and given is None):
            self.meta = replace(self.meta, request_id=None if quiet else labels.new_request_id())
        self.labels = Labels(self._observation.worker, self.meta.request_id or "", self._trace_id(parent))
        self._label_token = labels.CURRENT.set(self.labels)

    def _trace_id(self, parent: Parent | None) -> str:
        if self.span is not None:
            return self.span.trace_id
        if parent is None:  # it may have been made here, not to be recorded
            parent = tracing.parse(self.meta.traceparent)
        return "" if parent is None else parent.trace_id

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._label_token is not None:
            labels.CURRENT.reset(self._label_token)
        if error is not None:
            labels.mark(error, self.labels)
        if self._span_token is not None:
            tracing.CURRENT.reset(self._span_token)
        observation, name, status = self._observation, self._method.name, status_of(error)
        duration_s = perf_counter() - self._started
        observation.count(name, status)
        if not self._method.quiet:
            observation.time(name, duration_s)
        if not self._method.quiet or status not in WELL:
            observation.tell(name, status, duration_s, self.labels, self.facts)
        if self.span is not None:
            self._end(self.span, "" if status == OK else status)

    def _end(self, span: Span, error: str) -> None:
        span.attributes.update((FACT + name, value) for name, value in self.facts.items() if isinstance(value, SCALAR))
        if self._owns_span:
            span.tracer.end(span, error=error)
        elif error:
            span.error = error


def status_of(error: BaseException | None) -> str:
    """How a call has ended: `ok`, `cancelled`, or the code of its error."""
    return tracing.code_of(error) or OK
