"""The header `traceparent`, as W3C Trace Context has it: `00-<trace id>-<parent span id>-<flags>`."""

import re
import secrets

import msgspec

HEADER = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
MAX_CHARS = 256
SAMPLED = 0x01


class Parent(msgspec.Struct, frozen=True):
    """The span of somebody else's that ours belong under."""

    trace_id: str
    span_id: str
    sampled: bool


def parse(traceparent: str | None) -> Parent | None:
    """What the header says; one that makes no sense is as none."""
    if not traceparent or len(traceparent) > MAX_CHARS:
        return None
    found = HEADER.fullmatch(traceparent)
    if found is None:
        return None
    trace_id, span_id, flags = found.groups()
    return Parent(trace_id, span_id, bool(int(flags, 16) & SAMPLED))


def new_trace_id() -> str:
    """16 random bytes in hexadecimal."""
    return secrets.token_hex(16)


def new_span_id() -> str:
    """8 random bytes in hexadecimal."""
    return secrets.token_hex(8)
