"""Users take turns, whatever the number of their requests."""

import pytest

from hyperinfer.workers.inference.lanes import Lanes


def filled(*items: str) -> Lanes[str]:
    lanes: Lanes[str] = Lanes()
    for item in items:
        lanes.push(item[0], item)
    return lanes


def drained(lanes: Lanes[str]) -> list[str]:
    return [lanes.pop() for _ in range(len(lanes))]


def test_one_user_is_served_in_order() -> None:
    assert drained(filled("a1", "a2", "a3")) == ["a1", "a2", "a3"]


def test_users_take_turns() -> None:
    assert drained(filled("a1", "a2", "a3", "b1", "c1", "b2")) == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_a_newcomer_is_served_before_who_has_just_been() -> None:
    lanes = filled("a1", "a2", "a3")
    assert lanes.pop() == "a1"
    lanes.push("b", "b1")
    assert drained(lanes) == ["b1", "a2", "a3"]


def test_a_turn_without_waiting_counts_too() -> None:
    lanes: Lanes[str] = Lanes()
    lanes.served("a")
    for item in ("a1", "a2", "b1", "c1"):
        lanes.push(item[0], item)
    assert drained(lanes) == ["b1", "c1", "a1", "a2"]


def test_newcomers_after_newcomers_hold_nobody_up() -> None:
    lanes = filled("a1", "a2", "a3")
    order = [lanes.pop()]
    for number in range(6):
        lanes.push(f"new{number}", f"n{number}")
        order.append(lanes.pop())
    assert order == ["a1", "n0", "a2", "n1", "n2", "a3", "n3"], (
        "each turn lets those before who had come by then, no others"
    )


def test_who_asks_again_at_once_does_not_overtake() -> None:
    lanes = filled("a1", "b1", "c1", "a2")
    assert lanes.pop() == "a1"
    assert lanes.pop() == "b1"
    lanes.push("b", "b2")
    assert drained(lanes) == ["c1", "a2", "b2"]


def test_what_is_removed_does_not_come() -> None:
    lanes = filled("a1", "a2", "b1")
    assert lanes.remove("a", "a1")
    assert lanes.remove("b", "b1")
    assert not lanes.remove("b", "b1")
    assert not lanes.remove("z", "z1")
    assert len(lanes) == 1
    assert drained(lanes) == ["a2"]


def test_the_newest_of_the_longest_lane_is_dropped() -> None:
    lanes = filled("a1", "b1", "b2", "b3", "a2")
    assert lanes.longest == 3
    assert lanes.drop_newest() == "b3"
    assert lanes.longest == 2
    assert lanes.drop_newest() in {"a2", "b2"}


def test_an_empty_one_has_nothing() -> None:
    with pytest.raises(KeyError):
        filled().pop()
    with pytest.raises(KeyError):
        filled().drop_newest()
