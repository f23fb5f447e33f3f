"""A span: one piece of work within a trace."""

from contextvars import ContextVar, Token
from enum import IntEnum
from types import TracebackType
from typing import TYPE_CHECKING

from hyperinfer.errors import Cancelled, HyperinferError, InternalError
from hyperinfer.facilities.tracing.context import SAMPLED

if TYPE_CHECKING:
    from hyperinfer.facilities.tracing.tracer import Tracer

Value = str | int | float | bool | tuple[str, ...]
"""What an attribute may be. Never a prompt, an answer, a key or a password."""

CANCELLED = "cancelled"
"""How work ends whose caller has gone: it was cut short, and nobody's fault."""
RPC_SYSTEM = "hyperswarm"
INSTANCE_CHARS = 16
"""How much of a worker's key it is known by in traces."""


class Kind(IntEnum):
    """Which side of a call a span is, by OTLP's numbers."""

    INTERNAL = 1
    SERVER = 2
    CLIENT = 3


class Span:
    """One piece of work that is sampled. Times in nanoseconds since the epoch; `error` is the code of what ended it badly."""

    __slots__ = (
        "attributes",
        "ended_ns",
        "error",
        "kind",
        "name",
        "parent_id",
        "span_id",
        "started_ns",
        "trace_id",
        "tracer",
    )

    def __init__(
        self, tracer: "Tracer", name: str, kind: Kind, trace_id: str, span_id: str, parent_id: str, started_ns: int
    ) -> None:
        self.tracer = tracer
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
"""The span that this task works in, or that it was begun in."""


def current() -> Span | None:
    """The span that is under way here. One that has ended has no more to do with a task that outlives it."""
    span = CURRENT.get()
    return span if span is not None and not span.ended_ns else None


def traceparent() -> dict[str, str]:
    """The header for a request that is made here to somebody else; none where nothing is recorded."""
    span = current()
    return {} if span is None else {"traceparent": span.traceparent}


class span:  # noqa: N801 - reads as what it is: `with span("queue"):`
    """A block as a span under this task's; entering gives it, or `None` where nothing is recorded.

    With `least_s` it is recorded only if it took so long or failed, and must have no spans below it.
    """

    __slots__ = ("_kind", "_least_ns", "_name", "_span", "_token")

    def __init__(self, name: str, kind: Kind = Kind.INTERNAL, *, least_s: float = 0.0) -> None:
        self._name = name
        self._kind = kind
        self._least_ns = least_s * 1e9
        self._span: Span | None = None
        self._token: Token[Span | None]

    def __enter__(self) -> Span | None:
        over = current()
        if over is not None:
            self._span = over.tracer.under(over, self._name, self._kind)
            self._token = CURRENT.set(self._span)
        return self._span

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        made = self._span
        if made is None:
            return
        CURRENT.reset(self._token)
        made.tracer.end(made, error=code_of(error), least_ns=self._least_ns)


class calling(span):  # noqa: N801 - as `span`
    """A block that calls a method of a peer, as a client's span. Where the block that it is in is one already, for it knows more
    of the call, it is the same."""

    __slots__ = ()

    def __init__(self, method: str) -> None:
        super().__init__(method, Kind.CLIENT)

    def __enter__(self) -> Span | None:
        over = current()
        if over is None or over.kind is Kind.CLIENT:
            return over
        made = super().__enter__()
        if made is not None:
            made.attributes = {"rpc.system.name": RPC_SYSTEM, "rpc.method": self._name}
        return made


def code_of(error: BaseException | None) -> str:
    """The code of what ended a block, or `cancelled`; empty if nothing did."""
    if error is None:
        return ""
    if isinstance(error, Cancelled):
        return CANCELLED
    if isinstance(error, HyperinferError):
        return error.code
    return InternalError.code if isinstance(error, Exception) else CANCELLED
