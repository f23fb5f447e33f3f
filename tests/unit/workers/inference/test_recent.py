"""Failures count while they are recent, and one alone is not everything."""

import pytest

from hyperinfer.testing.clock import ManualClock
from hyperinfer.workers.inference.recent import HALF_LIFE_S, FailureRate


def rate(*outcomes: bool) -> tuple[FailureRate, ManualClock]:
    clock = ManualClock()
    made = FailureRate(clock)
    for is_good in outcomes:
        (made.succeeded if is_good else made.failed)()
    return made, clock


@pytest.mark.parametrize(
    ("outcomes", "share"),
    [((), 0), ((True,) * 9, 0), ((False,), 0.5), ((False,) * 9, 0.9), ((True, False, True), 0.25)],
)
def test_the_share_that_failed(outcomes: tuple[bool, ...], share: float) -> None:
    assert rate(*outcomes)[0].share == share


def test_what_failed_is_forgiven_in_time() -> None:
    made, clock = rate(*(False,) * 9)
    clock.advance(HALF_LIFE_S)
    assert made.share == pytest.approx(4.5 / 5.5)
    clock.advance(20 * HALF_LIFE_S)
    assert made.share < 0.001
    made.failed()
    assert made.share == pytest.approx(0.5, abs=0.01)
