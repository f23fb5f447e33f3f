"""Who is in a hurry goes first without starving the rest, and nobody fills the queue for the others."""

import pytest

from hyperinfer.contracts.inference import Priority
from hyperinfer.workers.inference.fair_queue import FairQueue, Full


def push(queue: FairQueue[str], *items: str, priority: Priority = "interactive") -> list[str | None]:
    return [queue.push(item[0], item, priority) for item in items]


def drained(queue: FairQueue[str]) -> list[str]:
    return [queue.pop() for _ in range(len(queue))]


def test_interactive_requests_go_first() -> None:
    queue: FairQueue[str] = FairQueue(10)
    push(queue, "x1", "y1", priority="batch")
    push(queue, "a1", "a2")
    assert drained(queue) == ["a1", "a2", "x1", "y1"]


def test_every_eighth_turn_is_a_batch_request_s_while_one_waits() -> None:
    queue: FairQueue[str] = FairQueue(100)
    push(queue, *(f"a{number}" for number in range(20)))
    push(queue, "x0", "x1", "x2", priority="batch")
    order = drained(queue)
    assert [order.index(name) for name in ("x0", "x1", "x2")] == [7, 15, 22]


def test_turns_without_a_batch_request_that_waits_do_not_count() -> None:
    queue: FairQueue[str] = FairQueue(100)
    push(queue, *(f"a{number}" for number in range(20)))
    for _ in range(10):
        queue.pop()
    push(queue, "x0", priority="batch")
    assert drained(queue).index("x0") == 7


def test_a_newcomer_takes_the_newest_place_of_who_has_the_most() -> None:
    queue: FairQueue[str] = FairQueue(6)
    push(queue, "a1", "a2", "a3", "a4", "b1", "b2")
    assert push(queue, "c1", "c2") == ["a4", "a3"]
    with pytest.raises(Full):
        push(queue, "c3")
    with pytest.raises(Full):
        push(queue, "a5")
    assert push(queue, "d1") in (["a2"], ["b2"], ["c2"])
    assert len(queue) == 6


def test_a_user_alone_may_fill_the_queue_and_no_more() -> None:
    queue: FairQueue[str] = FairQueue(3)
    push(queue, "a1", "a2", "a3")
    with pytest.raises(Full):
        push(queue, "a4")


def test_interactive_newcomers_take_batch_places_but_for_an_eighth() -> None:
    queue: FairQueue[str] = FairQueue(16)
    push(queue, *(f"x{number}" for number in range(16)), priority="batch")
    lost = push(queue, *(f"a{number}" for number in range(14)))
    assert lost == [f"x{number}" for number in range(15, 1, -1)]
    with pytest.raises(Full):
        push(queue, "a14")
    with pytest.raises(Full):
        push(queue, "x2", priority="batch")


def test_batch_newcomers_find_their_eighth_of_a_queue_that_one_user_has_filled() -> None:
    queue: FairQueue[str] = FairQueue(16)
    push(queue, *(f"a{number}" for number in range(16)))
    assert push(queue, "x0", "y0", priority="batch") == ["a15", "a14"]
    with pytest.raises(Full):
        push(queue, "z0", priority="batch")


def test_batch_requests_take_no_place_of_a_user_who_has_one() -> None:
    queue: FairQueue[str] = FairQueue(8)
    push(queue, *"abcdefgh")
    with pytest.raises(Full):
        push(queue, "x0", priority="batch")


def test_without_places_there_is_none() -> None:
    queue: FairQueue[str] = FairQueue(0)
    with pytest.raises(Full):
        push(queue, "a1")
    with pytest.raises(KeyError):
        queue.pop()
