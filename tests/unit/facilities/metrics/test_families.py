"""Counters and histograms of our own say what prometheus-client's would."""

import pytest
from hypothesis import given
from hypothesis import strategies as some
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.registry import DuplicateTimeseries

from hyperinfer.facilities.metrics import Counters, Histograms, written

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


@given(
    some.lists(
        some.tuples(
            some.text(max_size=4), some.one_of(some.floats(0, 1e12), some.integers(0, 10**8), some.just(float("inf")))
        ),
        max_size=20,
    )
)
def test_it_is_written_as_prometheus_client_writes_it(counted: list[tuple[str, float]]) -> None:
    registry = CollectorRegistry()
    counters = Counters("c", 'Told "so" \\ and\nthis.', ("z", "a"), registry=registry)
    Gauge("g", "In between.", registry=registry).set(-3)
    histograms = Histograms("h", "Observed.", ("model",), registry=registry, buckets=(0.25, 1, 10**7))
    plain = Counters("p", "Without labels.", registry=registry)
    for label, value in counted:
        counters.labels(label, "x").inc(value)
        histograms.labels(label).observe(value)
        plain.labels().inc(value)
        assert written(registry) == generate_latest(registry).decode()
    for label, _ in counted[::2]:
        counters.forget("z", label)
        histograms.forget("model", label)
    assert written(registry) == generate_latest(registry).decode()


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
