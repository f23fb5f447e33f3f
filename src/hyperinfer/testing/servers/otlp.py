"""A collector of traces on loopback: it takes OTLP over HTTP in JSON as strictly as the protocol's own library does, and keeps it."""

import base64
import gzip
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from google.protobuf.json_format import ParseDict  # type: ignore[import-untyped]  # it ships no types
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

HOST = "127.0.0.1"
TIMEOUT_S = 20.0
IDS = ("traceId", "spanId", "parentSpanId")


@dataclass(frozen=True)
class Got:
    """A span as it came in. `service` and `instance` are those of its resource."""

    service: str
    instance: str
    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    started_ns: int
    ended_ns: int
    failed: bool
    attributes: Mapping[str, Any]


@dataclass
class Collector:
    """What came in. `answers` are statuses to give instead of taking a batch, in turn; while `hangs` is set nothing is answered.
    It runs in threads of its own, so that tests of every kind can wait for it."""

    spans: list[Got] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    answers: list[tuple[int, Mapping[str, str]]] = field(default_factory=list)
    says: bytes = b"{}"
    asked: int = 0
    url: str = ""
    goes_on: threading.Event = field(default_factory=threading.Event)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def until(self, holds: Callable[[list[Got]], Any], timeout_s: float = TIMEOUT_S) -> list[Got]:
        """Wait until what came in makes this hold, and give it."""
        with self._changed:
            assert self._changed.wait_for(lambda: holds(self.spans), timeout_s), [span.name for span in self.spans]
            return list(self.spans)

    def until_asked(self, times: int, timeout_s: float = TIMEOUT_S) -> None:
        """Wait until so many requests have come, whatever became of them."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.asked >= times, timeout_s), self.asked

    def trace(self, trace_id: str, names: int) -> list[Got]:
        """The spans of a trace, once there are so many, in the order of their beginning."""
        self.until(lambda spans: sum(span.trace_id == trace_id for span in spans) >= names)
        return sorted((span for span in self.spans if span.trace_id == trace_id), key=lambda span: span.started_ns)

    def take(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        """Answer one request."""
        with self._changed:
            self.asked += 1
            self._changed.notify_all()
        self.goes_on.wait(TIMEOUT_S)
        with self._changed:
            if self.answers:
                status, more = self.answers.pop(0)
                return status, more, b"{}"
            assert path.endswith("/v1/traces"), path
            assert headers["content-type"] == "application/json"
            content = gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body
            self.spans += read(content)
            self.bodies.append(content)
            self.headers.append(headers)
            self._changed.notify_all()
            return 200, {}, self.says


def read(body: bytes) -> list[Got]:
    """The spans of a request's body. Raises `ParseError` for any field that the protocol has not."""
    content = json.loads(body)
    for resource in content["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                for name in IDS:  # in OTLP's JSON they are in hexadecimal, in protobuf's own in base64
                    if name in span:
                        span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
    message = ParseDict(content, ExportTraceServiceRequest())
    found = []
    for resource in message.resource_spans:
        of = _attributes(resource.resource.attributes)
        for scope in resource.scope_spans:
            for span in scope.spans:
                assert len(span.trace_id) == 16
                assert len(span.span_id) == 8
                assert span.start_time_unix_nano <= span.end_time_unix_nano
                found.append(
                    Got(
                        service=of["service.name"],
                        instance=of["service.instance.id"],
                        name=span.name,
                        kind=span.kind,
                        trace_id=span.trace_id.hex(),
                        span_id=span.span_id.hex(),
                        parent_id=span.parent_span_id.hex(),
                        started_ns=span.start_time_unix_nano,
                        ended_ns=span.end_time_unix_nano,
                        failed=span.status.code == 2,
                        attributes=_attributes(span.attributes),
                    )
                )
    return found


def _attributes(pairs: Any) -> dict[str, Any]:
    found = {pair.key: _value(pair.value) for pair in pairs}
    assert len(found) == len(pairs), "a name is there twice"
    return found


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, kind)


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector for the length of the block."""
    collector = Collector()
    collector.goes_on.set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, more, said = collector.take(self.path, headers, body)
            try:
                self.send_response(status)
                for name, value in {**more, "content-length": str(len(said))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(said)
            except OSError:
                self.close_connection = True  # whoever asked has not waited

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            """Say nothing."""

    server = ThreadingHTTPServer((HOST, 0), Handler)
    server.daemon_threads = True
    collector.url = f"http://{HOST}:{server.server_address[1]}"
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    serving.start()
    try:
        yield collector
    finally:
        collector.goes_on.set()
        server.shutdown()
        server.server_close()
        serving.join(TIMEOUT_S)
