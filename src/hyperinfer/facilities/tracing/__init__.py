"""The tracing facility: what a request did, where, and for how long, as spans of a trace that crosses processes.

Trace context is W3C's (https://www.w3.org/TR/trace-context/), spans are OpenTelemetry's. Without a tracer nothing is made.
"""

from hyperinfer.facilities.tracing.context import HEADER, Parent, parse, unsampled
from hyperinfer.facilities.tracing.settings import TracingSettings
from hyperinfer.facilities.tracing.span import (
    CANCELLED,
    CURRENT,
    INSTANCE_CHARS,
    RPC_SYSTEM,
    Kind,
    Span,
    calling,
    code_of,
    current,
    span,
    traceparent,
)
from hyperinfer.facilities.tracing.tracer import Tracer

__all__ = [
    "CANCELLED",
    "CURRENT",
    "HEADER",
    "INSTANCE_CHARS",
    "RPC_SYSTEM",
    "Kind",
    "Parent",
    "Span",
    "Tracer",
    "TracingSettings",
    "calling",
    "code_of",
    "current",
    "parse",
    "span",
    "traceparent",
    "unsampled",
]
