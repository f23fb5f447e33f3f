"""Counters and histograms of our own say what prometheus-client's would."""

import pytest
from hypothesis import given
from hypothesis import strategies as some
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.registry import DuplicateTimeseries

from hyperinfer.facilities.metrics import Counters, Histograms

BOUNDS = (0.25, 0.5, 1, 10)


def theirs(values: list[float]) -> str:
    registry = CollectorRegistry()
    counter = Counter("c", "Counted.", ("a", "b"), registry=registry)
    histogram = Histogram("h", "Observed.", ("a",), registry=registry, buckets=BOUNDS)
    for value in values:
        counter.labels("x", "y").inc(value)
        histogram.labels('odd "\\\n').observe(value)
    lines = generate_latest(registry).decode().splitlines(keepends=True)
    return "".join(line for line in lines if "_created" not in line)


def ours(values: list[float]) -> str:
    registry = CollectorRegistry()
    counter = Counters("c", "Counted.", ("a", "b"), registry=registry)
    histogram = Histograms("h", "Observed.", ("a",), registry=registry, buckets=BOUNDS)
    for value in values:
        counter.labels("x", "y").inc(value)
        histogram.labels('odd "\\\n').observe(value)
    return generate_latest(registry).decode()


@given(some.lists(some.one_of(some.sampled_from(BOUNDS), some.floats(0, 100)), max_size=20))
def test_the_text_is_the_same(values: list[float]) -> None:
    assert ours(values) == theirs(values)


def test_what_is_forgotten_is_shown_no_more_and_begins_anew() -> None:
    registry = CollectorRegistry()
    counters = Counters("c", "Counted.", ("model", "kind"), registry=registry)
    held = counters.labels("m", "in")
    for labels in (("m", "in"), ("m", "out"), ("n", "in")):
        counters.labels(*labels).inc()
    counters.forget("model", "m")
    held.inc()
    assert registry.get_sample_value("c_total", {"model": "m", "kind": "in"}) is None
    assert registry.get_sample_value("c_total", {"model": "n", "kind": "in"}) == 1
    counters.labels("m", "in").inc(2)
    assert registry.get_sample_value("c_total", {"model": "m", "kind": "in"}) == 2


def test_a_name_is_given_once() -> None:
    registry = CollectorRegistry()
    Counters("c", "Counted.", registry=registry)
    with pytest.raises(DuplicateTimeseries):
        Counters("c", "Counted.", registry=registry)
