"""Which worker gets a request, and how its load is estimated between two reports."""

from collections import Counter
from random import Random

from hyperinfer.protocol.routing import LoadEstimate, choose


def estimate(slots: int, others: int = 0, own: int = 0) -> LoadEstimate:
    return LoadEstimate(slots=slots, others=others, own=own)


def test_load_is_what_others_gave_and_what_we_gave() -> None:
    load = estimate(4)
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


def test_one_candidate_is_taken() -> None:
    only = estimate(1, 9)
    assert choose([only], Random(1)) is only


def test_of_two_the_less_loaded_is_taken() -> None:
    idle, busy = estimate(4, 1), estimate(1, 1)
    chance = Random(1)
    assert all(choose([busy, idle], chance) is idle for _ in range(100))


def test_the_most_loaded_of_many_is_never_taken_and_all_others_are() -> None:
    candidates = [estimate(1, load) for load in range(5)]
    chance = Random(1)
    taken = Counter(choose(candidates, chance).others for _ in range(2000))
    assert set(taken) == {0, 1, 2, 3}
    assert taken[0] > taken[1] > taken[2] > taken[3]


def test_equals_share_the_work() -> None:
    candidates = [estimate(1) for _ in range(4)]
    chance = Random(1)
    for _ in range(400):
        choose(candidates, chance).own += 1
    assert {candidate.own for candidate in candidates} <= {99, 100, 101}
