"""What one worker has shown lately."""

import pytest

from hyperinfer.workers.metrics.collecting.exposition import read
from hyperinfer.workers.metrics.collecting.memory import Memory

HISTOGRAM = """\
# TYPE took_seconds histogram
took_seconds_bucket{{model="m",le="1.0"}} {0}
took_seconds_bucket{{model="m",le="2.0"}} {1}
took_seconds_bucket{{model="m",le="+Inf"}} {1}
took_seconds_count{{model="m"}} {1}
took_seconds_sum{{model="m"}} {2}
"""


class Shown:
    """A worker's memory, and a clock."""

    def __init__(self, remember_s: float = 900.0) -> None:
        self.memory = Memory(remember_s=remember_s)
        self.now = 100.0

    def __call__(self, text: str, *, after_s: float = 5.0, has_restarted: bool = False) -> None:
        self.now += after_s
        shown = read(text, self.memory.by_key, max_samples=100)
        self.memory.take(shown, self.now, has_restarted=has_restarted)


@pytest.fixture
def shown() -> Shown:
    return Shown()


def test_nothing_is_known_of_what_was_not_shown(shown: Shown) -> None:
    memory = shown.memory
    assert memory.value("n_total", {}) is None
    shown("n_total 5\n")
    assert memory.value("n_total", {}) == 5
    assert memory.increase("n_total", 60, {}) is None, "there is no before"
    shown("n_total 7\n")
    assert memory.increase("n_total", 60, {}) == 2
    assert memory.increase("n_total", 60, {"status": "ok"}) is None


def test_what_is_not_to_be_reckoned_with_is_not_there(shown: Shown) -> None:
    shown('n{a="1"} +Inf\nn{a="2"} -Inf\nn{a="4"} 1e308\nn{a="5"} NaN\n')
    assert shown.memory.value("n", {}) is None
    shown('n{a="1"} 1\nn{a="2"} 2\nn{a="4"} -1e308\n')
    assert shown.memory.value("n", {}) == 3


def test_labels_that_are_given_must_match(shown: Shown) -> None:
    shown('n_total{a="x",b="1"} 1\nn_total{a="y",b="1"} 10\nn_total{b="2"} 100\n')
    memory = shown.memory
    assert memory.value("n_total", {"a": "x"}) == 1
    assert memory.value("n_total", {"a": ("x", "y")}) == 11
    assert memory.value("n_total", {"a": ""}) == 100
    assert memory.value("n_total", {"b": "1", "a": "z"}) is None
    assert ({"a": "x", "b": "1"}, 1.0) in memory.values("n_total")


def test_a_series_that_begins_has_counted_from_nothing(shown: Shown) -> None:
    shown('n_total{a="x"} 1\n')
    shown('n_total{a="x"} 1\nn_total{a="y"} 3\n')
    assert shown.memory.increase("n_total", 60, {}) == 3


def test_after_a_restart_counters_begin_anew_even_if_they_are_higher_by_then(shown: Shown) -> None:
    shown("n_total 5\n")
    shown("n_total 7\n", has_restarted=True)
    assert shown.memory.increase("n_total", 60, {}) == 7
    shown("n_total 2\n")
    assert shown.memory.increase("n_total", 60, {}) == 9, "less than before is a restart that nobody told of"


def test_the_same_after_a_restart(shown: Shown) -> None:
    shown("n_total 5\n")
    shown("n_total 5\n", has_restarted=True)
    assert shown.memory.increase("n_total", 60, {}) == 5


def test_a_missing_collection_loses_nothing(shown: Shown) -> None:
    shown("n_total 5\n")
    shown("n_total 9\n", after_s=40)
    assert shown.memory.increase("n_total", 60, {}) == 4


def test_what_grows_is_seen_over_the_time_that_is_asked_for(shown: Shown) -> None:
    for count in range(20):
        shown(f"n_total {count}\n", after_s=5.003)
    assert shown.memory.increase("n_total", 60, {}) == 12
    assert shown.memory.increase("n_total", 5, {}) == 1
    assert shown.memory.increase("n_total", 900, {}) == 19


def test_means_and_quantiles_are_of_what_was_observed_meanwhile(shown: Shown) -> None:
    memory = shown.memory
    shown(HISTOGRAM.format(100, 100, 1))
    assert memory.mean("took_seconds", 60, {}) is None
    shown(HISTOGRAM.format(100, 110, 16))
    assert memory.mean("took_seconds", 60, {"model": "m"}) == 1.5
    assert memory.quantile("took_seconds", 0.5, 60, {}) == 1.5
    assert memory.quantile("took_seconds", 0.5, 60, {"model": "other"}) is None
    for _ in range(20):
        shown(HISTOGRAM.format(100, 110, 16))
    assert memory.mean("took_seconds", 60, {}) is None, "nothing was observed in that time"
    assert memory.quantile("took_seconds", 0.5, 60, {}) is None


def test_not_a_number_is_not_known(shown: Shown) -> None:
    shown("g NaN\n")
    assert shown.memory.value("g", {}) is None
    shown("g 1\n")
    assert shown.memory.value("g", {}) == 1
    shown("g NaN\n")
    assert shown.memory.value("g", {}) is None


def test_what_has_gone_is_forgotten_in_the_end() -> None:
    shown = Shown(remember_s=60.0)
    shown("a 1\nb 1\n")
    for count in range(30):
        shown(f"a {count}\n")
    assert list(shown.memory.by_key) == ["a"]
    assert len(shown.memory.by_key["a"]) <= 14


def test_churn_makes_room_for_itself() -> None:
    shown = Shown()
    for number in range(40):
        shown("".join(f'n{{a="{number} {one}"}} 1\n' for one in range(100)))
        assert len(shown.memory) <= 2000
    assert shown.memory.value("n", {}) == 100
