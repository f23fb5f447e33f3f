"""The tracing facility: what a request did, where, and for how long, as spans of a trace that crosses processes.

Trace context is W3C's (https://www.w3.org/TR/trace-context/), spans are OpenTelemetry's. Without a tracer nothing is made.
"""

from hyperinfer.facilities.tracing.context import Parent, parse
from hyperinfer.facilities.tracing.span import CURRENT, Kind, Span
from hyperinfer.facilities.tracing.tracer import Tracer, span

__all__ = ["CURRENT", "Kind", "Parent", "Span", "Tracer", "parse", "span"]
