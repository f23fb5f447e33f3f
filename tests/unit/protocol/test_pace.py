"""How fast a worker answers, told from what its answers took."""

import pytest

from hyperinfer.protocol.pace import HALF_LIFE_S, TYPICAL_TOKENS, Pace


def pace(first_s: float, token_s: float = 0.0, *, now: float = 0.0) -> Pace:
    one = Pace()
    one.answered(now, first_s=first_s, later_s=token_s * 10, tokens=11)
    return one


def test_answers_of_every_length_are_made_comparable() -> None:
    short, long = Pace(), Pace()
    short.answered(0.0, first_s=1.0, later_s=0.5, tokens=6)
    long.answered(0.0, first_s=1.0, later_s=50.0, tokens=501)
    assert short.typical_s == pytest.approx(long.typical_s) == pytest.approx(1.0 + TYPICAL_TOKENS * 0.1)
    assert short.over(long, 0.0) == pytest.approx(1)


def test_nothing_is_known_of_who_has_not_answered() -> None:
    assert Pace().over(pace(9.0), 0.0) == pace(9.0).over(Pace(), 0.0) == 1
    assert pace(0.0).over(pace(9.0), 0.0) == 1


def test_how_many_times_as_slow_is_told_and_forgotten_in_time() -> None:
    slow, fast = pace(5.0, 0.5), pace(1.0, 0.1)
    assert slow.over(fast, 0.0) == pytest.approx(5)
    assert fast.over(slow, 0.0) == pytest.approx(1 / 5)
    assert slow.over(fast, HALF_LIFE_S) == pytest.approx(5**0.5)
    assert slow.over(fast, 100 * HALF_LIFE_S) == pytest.approx(1)


def test_one_answer_that_took_forever_changes_little_and_many_are_believed() -> None:
    one = pace(1.0)
    one.answered(1.0, first_s=1000.0, later_s=0.0, tokens=1)
    assert one.typical_s < 2
    for _ in range(30):
        one.answered(2.0, first_s=10.0, later_s=0.0, tokens=1)
    assert one.typical_s == pytest.approx(10, rel=0.02)
