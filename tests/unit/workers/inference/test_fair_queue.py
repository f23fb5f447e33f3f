"""Users take turns, whatever the number of their requests."""

import pytest

from hyperinfer.workers.inference.fair_queue import FairQueue


def filled(*items: str) -> FairQueue[str]:
    queue: FairQueue[str] = FairQueue()
    for item in items:
        queue.push(item[0], item)
    return queue


def drained(queue: FairQueue[str]) -> list[str]:
    return [queue.pop() for _ in range(len(queue))]


def test_one_user_is_served_in_order() -> None:
    assert drained(filled("a1", "a2", "a3")) == ["a1", "a2", "a3"]


def test_users_take_turns() -> None:
    assert drained(filled("a1", "a2", "a3", "b1", "c1", "b2")) == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_who_comes_while_others_wait_is_next_but_one() -> None:
    queue = filled("a1", "a2", "a3")
    assert queue.pop() == "a1"
    queue.push("b", "b1")
    assert drained(queue) == ["a2", "b1", "a3"]


def test_what_is_removed_does_not_come() -> None:
    queue = filled("a1", "a2", "b1")
    queue.remove("a", "a1")
    queue.remove("b", "b1")
    queue.remove("b", "b1")
    queue.remove("z", "z1")
    assert len(queue) == 1
    assert drained(queue) == ["a2"]


def test_an_empty_queue_has_nothing() -> None:
    with pytest.raises(KeyError):
        filled().pop()
