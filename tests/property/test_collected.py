"""What is remembered of counters and histograms equals what a naive model says, whatever workers do in between."""

from bisect import bisect_left
from itertools import pairwise
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from hyperinfer.workers.metrics.collecting.exposition import Exposition, merged, parsed, read
from hyperinfer.workers.metrics.collecting.histogram import quantile
from hyperinfer.workers.metrics.collecting.memory import Memory

STEP_S = 5.0
REMEMBER_S = 60.0

grown = st.dictionaries(st.sampled_from("abc"), st.integers(0, 9), max_size=3)
doings = st.lists(
    st.tuples(st.sampled_from(["goes on", "goes on", "restarts", "is away"]), grown), min_size=2, max_size=40
)


def text_of(counts: dict[str, int]) -> str:
    lines = [f'n_total{{of="{name}"}} {float(count)}' for name, count in counts.items()]
    return "\n".join(["# HELP n_total Things.", "# TYPE n_total counter", *lines, ""])


def naive(seen: list[tuple[float, dict[str, int], bool]], since: int) -> float:
    """What was counted from one collection on, by the book: each is compared with the one before it."""
    total = 0
    for (_, before, _), (_, counts, is_new) in pairwise(seen[since:]):
        for name, count in counts.items():
            total += count if is_new or count < before.get(name, 0) else count - before.get(name, 0)
    return total


@given(doings)
@settings(max_examples=60)
def test_increase_is_what_was_counted(doings: list[tuple[str, dict[str, int]]]) -> None:
    memory = Memory(remember_s=REMEMBER_S)
    counts: dict[str, int] = {}
    seen: list[tuple[float, dict[str, int], bool]] = []
    has_restarted = False
    for number, (doing, growth) in enumerate(doings):
        now = number * STEP_S
        if doing == "restarts":
            counts, has_restarted = {}, True
        for name, more in growth.items():
            counts[name] = counts.get(name, 0) + more
        if doing == "is away":
            continue
        memory.take(read(text_of(counts), memory.by_key, max_samples=100), now, has_restarted=has_restarted)
        seen.append((now, dict(counts), has_restarted))
        has_restarted = False
        for over_s in (STEP_S, 30.0, REMEMBER_S):
            found = memory.increase("n_total", over_s, {})
            oldest = max((one[0] for one in seen if one[0] <= now - REMEMBER_S), default=0.0)
            before = [at for at, one in enumerate(seen[:-1]) if one[0] >= oldest]
            if found is not None and before:
                assert found == naive(seen, min(before, key=lambda at: abs(seen[at][0] - (now - over_s))))


@given(doings)
@settings(max_examples=20)
def test_what_is_kept_is_bounded(doings: list[tuple[str, dict[str, int]]]) -> None:
    memory = Memory(remember_s=REMEMBER_S)
    counts = {"a": 0}
    for number, (_, growth) in enumerate(doings * 5):
        counts[f"churn {number}"] = 1
        counts.pop(f"churn {number - 3}", None)
        counts["a"] += sum(growth.values()) + 1
        memory.take(read(text_of(counts), memory.by_key, max_samples=100), number * STEP_S, has_restarted=False)
        assert len(memory) <= 4 + REMEMBER_S / STEP_S + 1
        assert len(memory.by_key['n_total{of="a"}']) <= REMEMBER_S / STEP_S + 2


observations = st.lists(st.floats(0, 20, allow_nan=False), min_size=1, max_size=60)
bounds = st.lists(st.floats(0.1, 10, allow_nan=False), min_size=1, max_size=8, unique=True).map(sorted)


@given(observations, bounds, st.floats(0.01, 1))
def test_a_quantile_lies_in_the_bucket_that_it_has_to(observed: list[float], bounds: list[float], q: float) -> None:
    ends = [*bounds, inf]
    found = quantile(q, {end: float(sum(one <= end for one in observed)) for end in ends})
    assert found is not None
    rank = q * len(observed)
    counts = [sum(one <= end for one in observed) for end in ends]
    at = bisect_left(counts, rank)
    if at >= len(bounds):
        assert found == bounds[-1]
    else:
        assert (bounds[at - 1] if at else 0.0) <= found <= bounds[at] + 1e-9


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(st.lists(st.tuples(texts, texts, st.floats(allow_nan=False)), min_size=1, max_size=6), texts)
def test_any_text_of_a_label_survives(samples: list[tuple[str, str, float]], worker: str) -> None:
    from prometheus_client import CollectorRegistry, Gauge, generate_latest

    registry = CollectorRegistry()
    gauge = Gauge("g", "Of \\ all\nkinds.", ("a", "worker"), registry=registry)
    for a, b, value in samples:
        gauge.labels(a, b).set(value)
    shown = read(generate_latest(registry).decode(), {}, max_samples=100)
    assert not shown.malformed
    expected = {(worker, a, b): value for a, b, value in samples}
    [family] = text_string_to_metric_families(merged([({"worker": worker, "wtype": "w"}, shown)]))
    found = {
        (one.labels["worker"], one.labels["a"], one.labels["exported_worker"]): one.value for one in family.samples
    }
    assert found == expected


@given(st.text(max_size=200), st.text(max_size=60))
def test_nonsense_never_leaves_more_than_sense(text: str, line: str) -> None:
    shown: Exposition = read(f'{text}\nok{{a="{line}"}} 1\n{line} 5\n', {}, max_samples=1000)
    for family in text_string_to_metric_families(merged([({"worker": "w", "wtype": "w"}, shown)])):
        for one in family.samples:
            assert one.labels["worker"] == "w"
            assert parsed(one.name) is not None


@pytest.mark.parametrize(
    ("q", "buckets", "expected"),
    [  # what Prometheus answers to histogram_quantile; tests/e2e/test_prometheus.py asks it again
        (0.5, {1.0: 0.0, 2.0: 10.0, inf: 10.0}, 1.5),
        (0.95, {1.0: 5.0, 2.0: 8.0, 4.0: 10.0, inf: 10.0}, 3.5),
        (0.99, {1.0: 5.0, inf: 10.0}, 1.0),
        (0.1, {1.0: 10.0, inf: 10.0}, 0.1),
        (0.5, {1.0: 0.0, inf: 0.0}, None),
        (0.5, {1.0: 3.0}, None),
        (0.5, {-1.0: 10.0, 1.0: 10.0, inf: 10.0}, -1.0),
    ],
)
def test_quantiles_as_prometheus_has_them(q: float, buckets: dict[float, float], expected: float | None) -> None:
    assert quantile(q, buckets) == (pytest.approx(expected) if expected is not None else None)
