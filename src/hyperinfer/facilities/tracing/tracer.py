"""A tracer makes the spans of one worker, and hands each on once it has ended."""

import random
import time
from collections.abc import Callable
from contextvars import Token
from types import TracebackType

from hyperinfer.errors import HyperinferError, InternalError
from hyperinfer.facilities.tracing.context import new_span_id, new_trace_id, parse
from hyperinfer.facilities.tracing.span import CURRENT, Kind, Span

Record = Callable[[Span], None]
"""Takes a span that has ended; must not block."""


class Tracer:
    """Makes spans. Of traces that begin here `ratio` are sampled; of those that began elsewhere, what was decided there."""

    def __init__(self, record: Record, *, ratio: float = 1.0, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._record = record
        self._ratio = ratio
        self._now_ns = now_ns

    def start(self, name: str, kind: Kind, *, traceparent: str | None = None) -> Span | None:
        """A span under the one of the header, else under this task's, else the first of a trace; none if it is not sampled."""
        parent = parse(traceparent)
        if parent is not None:
            if not parent.sampled:
                return None
            trace_id, parent_id = parent.trace_id, parent.span_id
        elif (current := CURRENT.get()) is not None:
            trace_id, parent_id = current.trace_id, current.span_id
        elif random.random() < self._ratio:
            trace_id, parent_id = new_trace_id(), ""
        else:
            return None
        return Span(
            name, kind, trace_id=trace_id, span_id=new_span_id(), parent_id=parent_id, started_ns=self._now_ns()
        )

    def end(self, span: Span, *, error: str = "") -> None:
        """The work is done, or has failed with an error of this code."""
        span.ended_ns = self._now_ns()
        span.error = error
        self._record(span)


class span:  # noqa: N801 - reads as what it is: `with span(tracer, "queue"):`
    """A block as a span of this task's trace; entering gives the span, or `None` where none is made."""

    __slots__ = ("_kind", "_name", "_span", "_token", "_tracer")

    def __init__(self, tracer: Tracer | None, name: str, kind: Kind = Kind.INTERNAL) -> None:
        self._tracer = tracer
        self._name = name
        self._kind = kind
        self._token: Token[Span | None] | None = None

    def __enter__(self) -> Span | None:
        self._span = None
        if self._tracer is not None and CURRENT.get() is not None:
            self._span = self._tracer.start(self._name, self._kind)
            self._token = CURRENT.set(self._span)
        return self._span

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            CURRENT.reset(self._token)
        if self._span is not None and self._tracer is not None:
            self._tracer.end(self._span, error=code_of(error))


def code_of(error: BaseException | None) -> str:
    """The code of what ended a block; empty if nothing did."""
    if error is None:
        return ""
    if isinstance(error, HyperinferError):
        return error.code
    return InternalError.code if isinstance(error, Exception) else "cancelled"
