"""How fast a worker answers, told from what its answers took."""

import pytest

from hyperinfer.protocol.pace import DOUBT, HALF_LIFE_S, TYPICAL_TOKENS, Pace, typical_s

MANY = 10_000


def pace(seconds: float, *, crowd: float = 1, answers: int = MANY) -> Pace:
    one = Pace()
    for _ in range(answers):
        one.answered(0.0, seconds, crowd=crowd)
    return one


def near(value: float) -> object:
    return pytest.approx(value, rel=0.01)


def test_answers_of_every_length_are_made_comparable() -> None:
    short = typical_s(first_s=1.0, later_s=1.0, tokens=11)
    assert short == pytest.approx(TYPICAL_TOKENS * 0.1)
    assert typical_s(first_s=30.0, later_s=50.0, tokens=501) == pytest.approx(short), "a long prompt makes nobody slow"
    assert typical_s(first_s=1.0, later_s=1.0, tokens=11, way_s=0.2) == pytest.approx(short + 0.2)


def test_who_says_no_tokens_is_known_by_how_long_the_whole_takes() -> None:
    assert typical_s(first_s=0.5, later_s=0.0, tokens=0) == 0.5


def test_a_few_tokens_tell_nothing() -> None:
    one = pace(2.0)
    one.answered(0.0, typical_s(first_s=0.5, later_s=0.1, tokens=2), crowd=1)
    assert one.over(pace(2.0), 0.0) == 1


def test_nothing_is_known_of_who_has_not_answered() -> None:
    assert Pace().over(pace(9.0), 0.0) == pace(9.0).over(Pace(), 0.0) == 1
    assert pace(0.0).over(pace(9.0), 0.0) == 1


def test_how_many_times_as_slow_is_told_and_forgotten_in_time() -> None:
    slow, fast = pace(5.0), pace(1.0)
    assert slow.over(fast, 0.0) == near(5)
    assert fast.over(slow, 0.0) == near(1 / 5)
    assert slow.over(fast, HALF_LIFE_S) == near(5**0.5)
    assert slow.over(fast, 100 * HALF_LIFE_S) == near(1)


def test_a_difference_is_believed_the_more_the_more_answers_show_it() -> None:
    fast = pace(1.0)
    ratios = [pace(5.0, answers=answers).over(fast, 0.0) for answers in (1, 2, DOUBT, 100)]
    assert ratios == sorted(ratios)
    assert ratios[0] < 1.5
    assert ratios[2] == near(5**0.5)
    assert ratios[3] > 4


def test_like_is_compared_with_like() -> None:
    one, other = pace(1.0), pace(4.0, crowd=4)
    assert one.over(other, 0.0) == other.over(one, 0.0) == 1, "it may be slower for the crowd alone"
    for _ in range(MANY):
        one.answered(0.0, 3.0, crowd=3.5)
    assert other.over(one, 0.0) == near(4 / 3)


def test_who_is_slower_though_less_crowded_is_slower() -> None:
    assert pace(5.0).over(pace(1.0, crowd=8), 0.0) == near(5)
    assert pace(1.0, crowd=8).over(pace(5.0), 0.0) == near(1 / 5)


def test_what_a_worker_tells_counts_half_until_it_has_answered() -> None:
    one, other = Pace(), Pace()
    one.told(0.0, 9.0)
    assert one.over(other, 0.0) == 1
    other.told(0.0, 1.0)
    assert one.over(other, 0.0) == near(3)
    one.answered(0.0, 2.0, crowd=1)
    other.answered(0.0, 2.0, crowd=1)
    assert one.over(other, 0.0) == 1


def test_one_answer_that_took_forever_changes_little_and_many_are_believed() -> None:
    one, usual = pace(1.0, answers=100), pace(1.0)
    one.answered(0.0, 1000.0, crowd=1)
    assert one.over(usual, 0.0) < 2
    for _ in range(30):
        one.answered(0.0, 10.0, crowd=1)
    assert one.over(usual, 0.0) > 8
