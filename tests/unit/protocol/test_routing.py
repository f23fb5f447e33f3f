"""Which worker gets a request, and how long it is expected to take."""

from collections import Counter
from collections.abc import Sequence
from random import Random

import pytest

from hyperinfer.protocol.routing import (
    SLOW_START_S,
    STICKY_PACE,
    LoadEstimate,
    choose,
    choose_fit,
    prefers,
    slower,
)


class Named:
    """A candidate that was given so many requests, `others` of them by others."""

    def __init__(self, slots: int, others: int = 0, own: int = 0) -> None:
        self.load_estimate = LoadEstimate(slots=slots, others=others, own=own)

    def answering_in(self, seconds: float, *, now: float = 0.0) -> "Named":
        for _ in range(100):
            self.load_estimate.pace.answered(now, seconds, crowd=1)
        return self


def test_load_is_what_others_gave_and_what_we_gave() -> None:
    load = LoadEstimate(slots=4)
    load.own += 2
    load.reported(slots=4, busy=3, queued=0)  # two of them are ours
    assert load.load == 0.75
    load.own -= 2
    assert load.load == 0.25
    load.own += 1
    load.reported(slots=4, busy=0, queued=0)  # the report is older than our request
    assert load.load == 0.25
    load.reported(slots=0, busy=0, queued=0)
    assert load.slots == 1


def test_a_free_slot_takes_one_answer_and_a_queue_as_many_as_it_is_long() -> None:
    def answers(others: int) -> float:
        return LoadEstimate(slots=4, others=others).answers_until_done(0.0)

    assert answers(0) == 1
    assert 1 < answers(3) < 2
    assert answers(8) > 2
    assert all(answers(n) < answers(n + 1) for n in range(20))


def test_who_fails_takes_as_long_as_trying_again() -> None:
    load = LoadEstimate(slots=4)
    load.reported(slots=4, busy=0, queued=0, error_rate=0.5)
    assert load.answers_until_done(0.0) == 2
    load.reported(slots=4, busy=0, queued=0, error_rate=1.0)
    assert load.answers_until_done(0.0) == pytest.approx(10)


def test_who_has_just_come_has_ever_more_slots() -> None:
    load = LoadEstimate(slots=4, own=2)
    settled = load.answers_until_done(0.0)
    load.since = 100.0
    times = [load.answers_until_done(100.0 + SLOW_START_S * part / 4) for part in range(5)]
    assert times[0] > 3
    assert times == sorted(times, reverse=True)
    assert times[-1] == settled


def test_one_candidate_is_taken() -> None:
    only = Named(1, 9)
    assert choose([only], Random(1), 0.0) is only
    assert choose_fit([only], lambda _: True, Random(1), 0.0) is only


def test_of_two_the_less_loaded_is_taken() -> None:
    idle, busy = Named(4, 1), Named(1, 1)
    chance = Random(1)
    assert all(choose([busy, idle], chance, 0.0) is idle for _ in range(100))


def test_the_most_loaded_of_many_are_never_taken_and_all_others_are() -> None:
    candidates = [Named(1, load) for load in range(5)]
    chance = Random(1)
    taken = Counter(choose(candidates, chance, 0.0).load_estimate.others for _ in range(2000))
    assert set(taken) == {0, 1, 2}
    assert taken[0] > taken[1] > taken[2]


def test_equals_share_the_work() -> None:
    candidates = [Named(1) for _ in range(4)]
    chance = Random(1)
    for _ in range(400):
        choose(candidates, chance, 0.0).load_estimate.own += 1
    assert {candidate.load_estimate.own for candidate in candidates} <= {99, 100, 101}


@pytest.mark.parametrize("there", [1, 2, 3, 50])
@pytest.mark.parametrize("fitting", [0, 1, 2, 50])
def test_only_what_fits_is_taken_and_all_of_it(there: int, fitting: int) -> None:
    candidates = [Named(1) for _ in range(there)]
    fit: Sequence[Named] = candidates[:fitting]
    chance = Random(1)
    taken = {choose_fit(candidates, lambda one: one in fit, chance, 0.0) for _ in range(1000)}
    assert taken - {None} == set(fit)
    assert (None in taken) is (not fit)


def test_a_slower_one_is_taken_once_the_faster_one_has_so_much_more_to_do() -> None:
    slow = Named(4).answering_in(5.0)
    chance = Random(1)
    for queued, taken in ((0, False), (12, False), (24, True)):
        fast = Named(4, queued).answering_in(1.0)
        assert (choose([slow, fast], chance, 0.0) is slow) is taken


def test_of_whom_nothing_is_known_counts_as_fast_as_the_other() -> None:
    assert slower(Named(1).load_estimate, Named(1).answering_in(9.0).load_estimate, 0.0) == 1


def test_who_knows_a_prompt_is_preferred_unless_notably_busier() -> None:
    idle = Named(4)
    assert prefers(Named(4), idle, 0.0)
    assert prefers(Named(4, 3), idle, 0.0), "it has a slot free"
    assert not prefers(Named(4, 5), idle, 0.0), "it has none, and the other one has"
    assert prefers(Named(4, 5), Named(4, 6), 0.0)
    assert not prefers(Named(4).answering_in(STICKY_PACE + 0.5), Named(4).answering_in(1.0), 0.0)
