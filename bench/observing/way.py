"""What is seen of a request on its way through a gateway, without the gateway: the same steps in the same order, and no I/O of theirs.

It tells small changes apart, which the noise of five processes hides. Rounds are short and the best one counts.
"""

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from hyperinfer.contracts.gateway import PROCESS_INFERENCE
from hyperinfer.contracts.inference import PROCESS_REQUEST
from hyperinfer.edge.request import read_head
from hyperinfer.edge.seen import Requests
from hyperinfer.facilities import tracing
from hyperinfer.facilities.labels import Labels
from hyperinfer.facilities.log.calls import Ended
from hyperinfer.facilities.log.files import RotatedFile
from hyperinfer.facilities.log.writer import FileOutlet, Writer
from hyperinfer.facilities.tracing import Span, Tracer
from hyperinfer.facilities.tracing.export import BATCH
from hyperinfer.facilities.tracing.otlp import Encoder
from hyperinfer.kernel.observation import Observation

ROUNDS, TIMES = 60, 600
EVERY, NONE = 10**9, 0

SCOPE: dict[str, Any] = {
    "type": "http",
    "method": "POST",
    "path": "/v1/chat/completions",
    "scheme": "http",
    "server": ("127.0.0.1", 3002),
    "client": ("127.0.0.1", 50000),
    "headers": [
        (b"host", b"127.0.0.1:3002"),
        (b"authorization", b"Bearer hi_00000000_0"),
        (b"content-type", b"application/json"),
        (b"user-agent", b"bench"),
        (b"content-length", b"1000"),
    ],
}
ANSWER = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]}
FACTS = {"asked": "inference", "attempts": 1, "prompt_tokens": 180, "completion_tokens": 32, "finish": "stop"}


class Way:
    """Requests that are seen by these."""

    def __init__(self, requests: Requests, observation: Observation, end: Callable[[], None]) -> None:
        self._requests = requests
        self._observation = observation
        self.end = end

    def go(self, number: int) -> None:
        """One of them."""
        with self._requests.one(SCOPE) as seen:
            head = seen.carries(read_head(SCOPE))
            with self._observation.call(PROCESS_INFERENCE) as call:
                call.goes_on(head.meta)
                call.note(model="echo", kind="chat", streamed=False)
                with tracing.span("limits", least_s=1.0):
                    pass
                with tracing.calling(PROCESS_REQUEST.name) as span:
                    if span is not None:
                        span.attributes |= {"hyperinfer.model": "echo", "hyperinfer.attempt": 1}
                    with tracing.calling(PROCESS_REQUEST.name), tracing.calling(PROCESS_REQUEST.name) as inner:
                        if inner is not None:
                            inner.attributes["hyperinfer.peer"] = "0123456789abcdef"
                call.note(**FACTS, first_token_ms=number / 1000, queued_ms=0.01)
            seen.answered(ANSWER)


def nothing() -> Way:
    """Requests are counted, and that is all."""
    return _way(None, lambda: None)


def traced(per_s: int) -> Way:
    """Traces are begun, so many a second, and written."""
    encoder = Encoder({"service.name": "hyperinfer-gateway"}, version="1")
    waiting: list[str] = []

    def record(span: Span) -> None:
        waiting.append(encoder.span(span))
        if len(waiting) == BATCH:
            encoder.batch(waiting)
            waiting.clear()

    return _way(Tracer(record, per_s=per_s), lambda: None)


def logged(folder: Path) -> Way:
    """Each leaves a line, in a file of the folder."""
    writer = Writer([FileOutlet(RotatedFile(folder / "event.log"), level="info")], level="info")

    def tell(method: str, status: str, duration_s: float, labels: Labels, facts: dict[str, Any]) -> None:
        writer.tell(Ended(time.time(), method, status, duration_s, labels, facts))

    return _way(None, writer.close, tell=tell)


def _way(tracer: Tracer | None, end: Callable[[], None], **more: Any) -> Way:
    registry = CollectorRegistry()
    observation = Observation("gateway", registry=registry, tracer=tracer, **more)
    requests = Requests("gateway", registry=registry, tracer=tracer, route_of=lambda scope: str(scope["path"]))
    return Way(requests, observation, end)


def measured() -> dict[str, float]:
    """Microseconds of CPU for each, the best of the rounds, which take turns."""
    best: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        kinds: dict[str, Callable[[], Way]] = {
            "counted only": nothing,
            "a trace that is not recorded": partial(traced, NONE),
            "a trace that is": partial(traced, EVERY),
            "a request line": partial(logged, Path(folder)),
        }
        for _ in range(ROUNDS):
            for name, make in kinds.items():
                best[name] = min(best.get(name, 1e9), _timed(make()))
    return best


def _timed(way: Way) -> float:
    begun = time.process_time()  # of all threads: lines are written by one of their own
    for number in range(TIMES):
        way.go(number)
    way.end()
    return (time.process_time() - begun) / TIMES * 1e6
