"""A span: one piece of work within a trace."""

from contextvars import ContextVar
from enum import IntEnum

from hyperinfer.facilities.tracing.context import SAMPLED

Value = str | int | float | bool
"""What an attribute may be. Never a prompt, an answer, a key or a password."""


class Kind(IntEnum):
    """Which side of a call a span is, by OTLP's numbers."""

    INTERNAL = 1
    SERVER = 2
    CLIENT = 3


class Span:
    """One piece of work that is sampled. Times in nanoseconds since the epoch; `error` is the code of what ended it badly."""

    __slots__ = ("attributes", "ended_ns", "error", "kind", "name", "parent_id", "span_id", "started_ns", "trace_id")

    def __init__(self, name: str, kind: Kind, *, trace_id: str, span_id: str, parent_id: str, started_ns: int) -> None:
        self.name = name
        self.kind = kind
        self.trace_id = trace_id
        self.span_id = span_id
        self.parent_id = parent_id
        self.started_ns = started_ns
        self.ended_ns = 0
        self.error = ""
        self.attributes: dict[str, Value] = {}

    @property
    def traceparent(self) -> str:
        """What a call made within this span carries."""
        return f"00-{self.trace_id}-{self.span_id}-{SAMPLED:02x}"


CURRENT: ContextVar[Span | None] = ContextVar("hyperinfer_span", default=None)
"""The span that this task works in."""
