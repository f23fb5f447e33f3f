"""What is seen of each HTTP request: it is counted, timed and traced, in one place for every route.

A route is what the table of routes calls it, never what a client wrote; a request that reached none has the route `none`.
"""

from collections.abc import Callable, Mapping
from contextvars import Token
from time import perf_counter
from types import TracebackType
from typing import Any, Self

from msgspec.structs import replace
from prometheus_client import CollectorRegistry, Gauge
from starlette.types import Message, Scope

from hyperinfer.edge.request import RequestHead
from hyperinfer.edge.ws.handshake import METHOD as HANDSHAKE
from hyperinfer.facilities import tracing
from hyperinfer.facilities.metrics import DURATIONS_S, Count, Counters, Distribution, Histograms
from hyperinfer.facilities.tracing import Kind, Span, Tracer
from hyperinfer.kernel.observation import Observation

NO_ROUTE = "none"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", HANDSHAKE})
OTHER_METHOD = "_OTHER"
"""What any other method is counted as; OpenTelemetry's word for it."""
SWITCHED = 101
"""The status of a WebSocket's handshake that was accepted."""
GONE = 499
"""The status of a request whose client hung up before it was answered, as nginx has it."""
STREAMS = (b"text/event-stream", b"application/x-ndjson")

RouteOf = Callable[[Scope], str]


def no_route(scope: Scope) -> str:
    """There are no routes."""
    return NO_ROUTE


class Requests:
    """The requests of one HTTP server. `service` is the type of worker that has it, `route_of` tells a request's route once it has
    been served."""

    def __init__(
        self, service: str, *, registry: CollectorRegistry, tracer: Tracer | None, route_of: RouteOf = no_route
    ) -> None:
        self.service = service
        self.tracer = tracer
        self.route_of = route_of
        self.in_flight = 0
        self.sockets = 0
        self.streams = 0
        self._counts = Counters(
            "ai_platform_http_requests",
            "HTTP requests by status; 499 is one whose client hung up before it was answered.",
            ("service", "route", "method", "status"),
            registry=registry,
        )
        self._durations = Histograms(
            "ai_platform_http_request_duration_seconds",
            "From an HTTP request's head to the end of its answer.",
            ("service", "route"),
            registry=registry,
            buckets=DURATIONS_S,
        )
        for name, text, value in (
            ("requests_in_flight", "HTTP requests being answered.", lambda: self.in_flight),
            ("websockets", "WebSockets that are open.", lambda: self.sockets),
            ("event_streams", "Answers that are being streamed.", lambda: self.streams),
        ):
            Gauge(f"ai_platform_http_{name}", text, ("service",), registry=registry).labels(service).set_function(value)
        self._counted: dict[tuple[str, str, int], Count] = {}
        self._timed: dict[str, Distribution] = {}

    def one(self, scope: Scope) -> "Seen":
        """A request that has arrived, to be entered once."""
        return Seen(self, scope)

    def count(self, route: str, method: str, status: int, duration_s: float) -> None:
        """Count one that has ended."""
        found = self._counted.get((route, method, status))
        if found is None:
            labels = (self.service, route, method, str(status))
            found = self._counted[route, method, status] = self._counts.labels(*labels)
        found.inc()
        if method == HANDSHAKE:  # how long a socket is open says nothing of how long anybody waited
            return
        timed = self._timed.get(route)
        if timed is None:
            timed = self._timed[route] = self._durations.labels(self.service, route)
        timed.observe(duration_s)


class Seen:
    """One request under way. `status` is that of its answer once it has begun, `error` the code of what it failed with."""

    __slots__ = ("_requests", "_scope", "_span", "_started", "_stream", "_token", "error", "status")

    def __init__(self, requests: Requests, scope: Scope) -> None:
        self._requests = requests
        self._scope = scope
        self._span: Span | None = None
        self._token: Token[Span | None] | None = None
        self._stream = False
        self.status = 0
        self.error = ""

    def __enter__(self) -> Self:
        self._started = perf_counter()
        self._requests.in_flight += 1
        return self

    def carries(self, head: RequestHead) -> RequestHead:
        """What came with the request is known; the same, with the trace that its calls belong to.

        The conversations of a WebSocket are traced each by itself.
        """
        tracer = self._requests.tracer
        if self._scope["type"] == "websocket":
            return replace(head, traceparent=None) if head.traceparent else head
        if tracer is None:
            return head
        parent = tracing.parse(head.traceparent)
        self._span = span = tracer.start("HTTP", Kind.SERVER, parent=parent, trusted=False)
        self._token = tracing.CURRENT.set(span)
        return replace(head, traceparent=span.traceparent if span else tracing.unsampled(parent))

    def answered(self, message: Message) -> None:
        """An answer begins."""
        if message["type"] == "websocket.accept":
            self.status = SWITCHED
            self._requests.in_flight -= 1
            self._requests.sockets += 1
            return
        self.status = message["status"]
        for name, value in message.get("headers", ()):
            if name == b"content-type":
                if value.startswith(STREAMS) and not self._stream:
                    self._stream = True
                    self._requests.streams += 1
                return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        requests, scope = self._requests, self._scope
        status, method = self.status or GONE, scope["method"]
        if method not in METHODS:
            method = OTHER_METHOD
        if status == SWITCHED:
            requests.sockets -= 1
        else:
            requests.in_flight -= 1
        if self._stream:
            requests.streams -= 1
        route = requests.route_of(scope)
        requests.count(route, method, status, perf_counter() - self._started)
        if self._token is not None:
            tracing.CURRENT.reset(self._token)
        if self._span is not None:
            self._end(self._span, route, method, status)

    def _end(self, span: Span, route: str, method: str, status: int) -> None:
        """Tell the trace, by OpenTelemetry's conventions for HTTP servers. What a client did wrong is no error of ours."""
        attributes = span.attributes
        span.name = method
        if route != NO_ROUTE:
            span.name = f"{method} {route}"
            attributes["http.route"] = route
        attributes["http.request.method"] = method
        attributes["http.response.status_code"] = status
        attributes["url.scheme"] = self._scope["scheme"]
        if server := self._scope.get("server"):
            attributes["server.address"], attributes["server.port"] = server
        error = self.error or span.error
        if status == GONE and not error:
            error = tracing.CANCELLED
        if error and 400 <= status < 500:
            span.error = ""
            attributes["error.type"] = error
            error = ""
        span.tracer.end(span, error=error)


def requests_of(observation: Observation | None, route_of: RouteOf) -> Requests:
    """The requests of a worker's server; without a worker they are counted for nobody."""
    if observation is None:
        return Requests("", registry=CollectorRegistry(), tracer=None, route_of=route_of)
    return Requests(observation.service, registry=observation.registry, tracer=observation.tracer, route_of=route_of)


def route_table(fixed: Mapping[str, str], by_endpoint: Mapping[Any, str]) -> RouteOf:
    """Tells routes: of paths that are served ahead of the router, and of what the router found."""

    def route_of(scope: Scope) -> str:
        return fixed.get(scope["path"]) or by_endpoint.get(scope.get("endpoint"), NO_ROUTE)

    return route_of
