"""Meters of what comes and goes are bounded, and go with it."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from hyperinfer.facilities.metrics import OTHER, CappedLabels, Count, Counters
from hyperinfer.testing.clock import ManualClock


class Stand:
    """Answers counted by model, three models at a time."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.registry = CollectorRegistry()
        self.answers = Counters("answers", "Answers.", ("model",), registry=self.registry)
        self.models: CappedLabels[Count] = CappedLabels(
            "model", (self.answers,), self.answers.labels, registry=self.registry, clock=self.clock, most=3, grace_s=600
        )

    def ask(self, *models: str) -> None:
        for model in models:
            self.models.of(model).inc()

    def shown(self) -> dict[str, float]:
        generate_latest(self.registry)  # what this look finds gone is shown for the last time
        lines = generate_latest(self.registry).decode().splitlines()
        shown = (line.split('model="')[1].split('"} ') for line in lines if not line.startswith("#"))
        return {model: float(value) for model, value in shown}


@pytest.fixture
def stand() -> Stand:
    return Stand()


def test_beyond_the_bound_they_share_one(stand: Stand) -> None:
    stand.ask("a", "b", "c", "d", "e", "a")
    assert stand.shown() == {"a": 2, "b": 1, "c": 1, OTHER: 2}


def test_one_that_is_called_other_takes_nobodys_room(stand: Stand) -> None:
    stand.ask(OTHER, "a", "b", "c", "d")
    assert stand.shown() == {OTHER: 2, "a": 1, "b": 1, "c": 1}


def test_what_is_not_used_goes_after_the_grace_and_makes_room(stand: Stand) -> None:
    stand.ask("a", "b", "c")
    assert len(stand.shown()) == 3
    stand.clock.advance(400)
    stand.ask("a")
    stand.shown()
    stand.clock.advance(400)
    assert stand.shown() == {"a": 2}
    stand.ask("b", "d")
    assert stand.shown() == {"a": 2, "b": 1, "d": 1}


def test_what_is_there_stays_however_long_nobody_uses_it(stand: Stand) -> None:
    there = {"a"}
    stand.models.there = lambda: there
    stand.ask("a", "b")
    for _ in range(10):
        stand.clock.advance(300)
        assert "a" in stand.shown()
    assert stand.shown() == {"a": 1}
    there.clear()
    for _ in range(3):
        stand.clock.advance(300)
        stand.shown()
    assert stand.shown() == {}


def test_room_is_found_though_nobody_looks(stand: Stand) -> None:
    stand.ask("a", "b", "c")
    for _ in range(3):  # the first notes that they have not been used any more
        stand.clock.advance(500)
        stand.ask("d")
    assert stand.shown() == {"d": 1, OTHER: 2}
