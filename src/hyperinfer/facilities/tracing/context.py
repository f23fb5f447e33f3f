"""The header `traceparent`, as W3C Trace Context has it: `00-<trace id>-<parent span id>-<flags>`.

`tracestate`, which other vendors' tools may send beside it, is dropped, as the recommendation allows: we have nothing to add to it.
"""

import random
import re

import msgspec

HEADER = "traceparent"
FORM = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
MAX_CHARS = 256
SAMPLED = 0x01
ODD = "13579bdf"
"""Digits of flags with `SAMPLED` among them."""

_bits = random.SystemRandom().getrandbits
_chance = random.Random(_bits(128))
"""Our own: what others seed makes no two processes' ids the same. Ids are no secrets."""


class Parent(msgspec.Struct, frozen=True):
    """The span of somebody else's that ours belong under."""

    trace_id: str
    span_id: str
    sampled: bool


def parse(traceparent: str | None) -> Parent | None:
    """What the header says; one that makes no sense is as none."""
    if not traceparent or len(traceparent) > MAX_CHARS:
        return None
    found = FORM.fullmatch(traceparent)
    if found is None:
        return None
    trace_id, span_id, flags = found.groups()
    return Parent(trace_id, span_id, flags[1] in ODD)


def unsampled(parent: Parent | None) -> str:
    """The same trace, or a new one, of which nothing is to be recorded by those who come after us."""
    if parent is None:
        return f"00-{new_trace_id()}-{new_span_id()}-00"
    return f"00-{parent.trace_id}-{parent.span_id}-00"


def new_trace_id() -> str:
    """16 random bytes in hexadecimal."""
    return (_chance.getrandbits(128) or 1).to_bytes(16, "big").hex()


def new_span_id() -> str:
    """8 random bytes in hexadecimal."""
    return (_chance.getrandbits(64) or 1).to_bytes(8, "big").hex()
