"""`traceparent`: what is taken, and what is passed on."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperinfer.facilities.tracing import parse, unsampled
from hyperinfer.facilities.tracing.context import new_span_id, new_trace_id

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize(("flags", "sampled"), [("01", True), ("00", False), ("03", True), ("02", False), ("ff", True)])
def test_what_is_understood(flags: str, sampled: bool) -> None:
    parent = parse(f"00-{TRACE}-{SPAN}-{flags}")
    assert parent is not None
    assert (parent.trace_id, parent.span_id, parent.sampled) == (TRACE, SPAN, sampled)


def test_later_versions_may_say_more() -> None:
    assert parse(f"cc-{TRACE}-{SPAN}-01-what-ever") is not None


@pytest.mark.parametrize(
    "header",
    [
        *(None, "", "00", "x" * 1000),
        *(
            f"ff-{TRACE}-{SPAN}-01",
            f"00-{TRACE.upper()}-{SPAN}-01",
            f" 00-{TRACE}-{SPAN}-01",
            f"00-{TRACE}-{SPAN}-01\n",
        ),
        *(f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01", f"00-{TRACE}-{SPAN}", f"00-{TRACE}-{SPAN}-1"),
    ],
)
def test_nonsense_is_as_nothing(header: str | None) -> None:
    assert parse(header) is None


@given(st.text(max_size=300))
def test_anything_may_come(header: str) -> None:
    parse(header)
    assert parse(unsampled(parse(header))) is not None


def test_what_is_not_recorded_keeps_its_trace() -> None:
    assert unsampled(parse(f"00-{TRACE}-{SPAN}-01")) == f"00-{TRACE}-{SPAN}-00"
    made = parse(unsampled(None))
    assert made is not None
    assert not made.sampled


def test_ids_are_of_their_own() -> None:
    traces, spans = {new_trace_id() for _ in range(2000)}, {new_span_id() for _ in range(2000)}
    assert len(traces) == len(spans) == 2000
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in traces)
    assert all(re.fullmatch("[0-9a-f]{16}", one) for one in spans)
