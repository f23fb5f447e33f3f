"""A tracer makes the spans of one worker, and hands each on once it has ended."""

import random
import time
from collections.abc import Callable

from hyperinfer.facilities.tracing.context import Parent, new_span_id, new_trace_id
from hyperinfer.facilities.tracing.span import Kind, Span

Record = Callable[[Span], None]
"""Takes a span that has ended; must not block."""

_chance = random.Random()
"""Our own: what others seed is not to be moved by us, nor the other way round."""


class Tracer:
    """Makes spans. Of traces that begin here the share `ratio` is sampled, and `per_s` a second at most; of those that began at
    another worker of the swarm, what was decided there. A stranger who asks for one is given it within that share too, and beyond it
    `asked_per_s` times a second.
    """

    def __init__(
        self,
        record: Record,
        *,
        ratio: float = 1.0,
        per_s: int = 1_000_000,
        asked_per_s: int = 0,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._record = record
        self._ratio = ratio
        self._chosen = Share(per_s)
        self._asked = Share(asked_per_s)
        self._now_ns = now_ns

    def start(self, name: str, kind: Kind, *, parent: Parent | None = None, trusted: bool = True) -> Span | None:
        """A span under that one, or the first of a trace; none if it is not sampled."""
        now_ns = self._now_ns()
        if parent is None:
            if not self._choose(now_ns):
                return None
            return Span(self, name, kind, new_trace_id(), new_span_id(), "", now_ns)
        if not parent.sampled or not (trusted or self._choose(now_ns) or self._asked.take(now_ns)):
            return None
        return Span(self, name, kind, parent.trace_id, new_span_id(), parent.span_id, now_ns)

    def under(self, over: Span, name: str, kind: Kind) -> Span:
        """A span under another one."""
        return Span(self, name, kind, over.trace_id, new_span_id(), over.span_id, self._now_ns())

    def end(self, span: Span, *, error: str = "", least_ns: float = 0.0) -> None:
        """The work is done, or has failed with an error of this code. What took less than `least_ns` and did not fail is
        not worth telling."""
        span.ended_ns = max(self._now_ns(), span.started_ns)
        if error:
            span.error = error
        elif span.ended_ns - span.started_ns < least_ns:
            return
        self._record(span)

    def _choose(self, now_ns: int) -> bool:
        return (self._ratio >= 1.0 or _chance.random() < self._ratio) and self._chosen.take(now_ns)


class Share:
    """So many a second."""

    __slots__ = ("_per_s", "_second", "_taken")

    def __init__(self, per_s: int) -> None:
        self._per_s = per_s
        self._second = 0
        self._taken = 0

    def take(self, now_ns: int) -> bool:
        """Whether there is one left of this second's."""
        second = now_ns // 1_000_000_000
        if second != self._second:
            self._second, self._taken = second, 0
        self._taken += 1
        return self._taken <= self._per_s
