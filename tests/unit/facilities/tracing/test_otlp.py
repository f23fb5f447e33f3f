"""OTLP's JSON, read by the protocol's own library."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperinfer.facilities.tracing import Kind, Span, Tracer
from hyperinfer.facilities.tracing.otlp import MAX_CHARS, MAX_PIECES, Encoder
from hyperinfer.testing.servers.otlp import Got, read

RESOURCE = {"service.name": "hyperinfer-gateway", "service.instance.id": "00ff"}


def written(*spans: Span) -> list[Got]:
    encoder = Encoder(RESOURCE, version="1.0")
    return read(encoder.batch([encoder.span(one) for one in spans]))


def ended(name: str = "GET /x", error: str = "", **attributes: Any) -> Span:
    tracer = Tracer(lambda _: None)
    one = tracer.start(name, Kind.SERVER)
    assert one is not None
    one.attributes = attributes
    tracer.end(one, error=error)
    return one


def test_all_of_a_span() -> None:
    one = ended(text='a "quoted" text', number=5, share=0.5, yes=True, no=False, reasons=("stop", "length"), one=1)
    [got] = written(one)
    assert (got.service, got.instance, got.name, got.kind) == ("hyperinfer-gateway", "00ff", "GET /x", 2)
    assert (got.trace_id, got.span_id, got.parent_id) == (one.trace_id, one.span_id, "")
    assert (got.started_ns, got.ended_ns, got.failed) == (one.started_ns, one.ended_ns, False)
    assert got.attributes == one.attributes | {"reasons": ["stop", "length"]}
    assert got.attributes["yes"] is True
    assert got.attributes["one"] is not True


def test_parents_and_several() -> None:
    top = ended()
    below = top.tracer.under(top, "queue", Kind.INTERNAL)
    top.tracer.end(below)
    first, second = written(top, below)
    assert second.parent_id == first.span_id
    assert second.kind == 1


@pytest.mark.parametrize(("error", "failed"), [("overloaded", True), ("cancelled", False)])
def test_errors(error: str, failed: bool) -> None:
    [got] = written(ended(error=error))
    assert got.attributes == {"error.type": error}
    assert got.failed is failed


def test_numbers_that_no_collector_takes_are_made_small() -> None:
    [got] = written(ended(tokens=10**30, less=-(10**30)))
    assert got.attributes == {"tokens": 2**63 - 1, "less": -(2**63 - 1)}


@given(st.text(alphabet=st.characters(exclude_categories=())), st.text(alphabet=st.characters(exclude_categories=())))
def test_any_text_is_readable_and_bounded(name: str, value: str) -> None:
    [got] = written(ended(name, value=value))
    assert len(got.name) <= MAX_CHARS
    assert got.attributes["value"] == value[:MAX_CHARS].encode(errors="replace").decode()


def test_what_is_kept_is_bounded() -> None:
    encoder = Encoder(RESOURCE, version="1.0")
    for number in range(MAX_PIECES + 100):
        encoder.span(ended(f"chat model-{number}", model=f"model-{number}"))
    assert len(encoder._kept) <= MAX_PIECES + 10
