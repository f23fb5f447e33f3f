"""Which worker gets a request: of a few taken at random, the one that is expected to answer soonest. Pure: chance is an
argument, and so is the time (`now`, in seconds on a scale that never goes back)."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Protocol, TypeVar

from hyperinfer.protocol.pace import Pace

CROWDING = 1.0
"""What the last free slot costs beside the first one, in answers: those that run together slow each other down, by up to
three times where one processor has to do it all."""
SLOW_START_S = 10.0
"""How long a worker that comes back is given less than its share."""
LEAST_SUCCESS = 0.1
FORGIVEN = 0.1
"""What share of failures counts as none, and how much slower counts as equal: who once did worse is tried again, and who is
never asked is never seen to do better."""
STICKY, STICKY_PACE = 2.0, 3.0
"""How many times as busy, and how many times as slow, a worker may be that has the beginning of a prompt in its cache."""
DRAWN = 3
DRAWS = 3
"""How many are drawn, and how often before all are looked at."""


class LoadEstimate:
    """What a worker has to do now, and how it has been doing: what others gave it when it last reported, what we have given
    it since, how fast it answers, what share of requests it fails, and since when it has been there.

    Reports are up to a second old; our own share is known to the request, so it is counted here and not there.
    """

    __slots__ = ("error_rate", "others", "own", "pace", "since", "slots")

    def __init__(self, *, slots: int = 1, others: int = 0, own: int = 0) -> None:
        self.slots = slots
        self.others = others
        self.own = own
        self.pace = Pace()
        self.error_rate = 0.0
        self.since: float | None = None

    def reported(self, *, slots: int, busy: int, queued: int, error_rate: float = 0.0) -> None:
        """The worker has said how busy it is."""
        self.slots = max(1, slots)
        self.others = max(0, busy + queued - self.own)
        self.error_rate = error_rate

    @property
    def load(self) -> float:
        """Requests for each slot: 0 is idle, 1 is every slot taken, more is a queue."""
        return (self.others + self.own) / self.slots

    @property
    def running(self) -> int:
        """How many requests run together."""
        return min(self.others + self.own, self.slots)

    def answers_until_done(self, now: float) -> float:
        """How long one more request would take, in answers of this worker: 1 in a free slot, more behind a queue.

        One that has just come has the fewer slots the newer it is; one that fails takes as long as trying again.
        """
        slots: float = self.slots
        if self.since is not None:
            age_s = now - self.since
            if age_s >= SLOW_START_S:
                self.since = None
            else:
                slots = max(1.0, slots * age_s / SLOW_START_S)
        there = self.others + self.own
        behind = max(1.0, (there + 1) / slots) + CROWDING * min(1.0, there / slots)
        success = 1.0 if self.error_rate <= FORGIVEN else max(1.0 - self.error_rate, LEAST_SUCCESS)
        return behind / success


class Candidate(Protocol):
    """What can be chosen."""

    @property
    def load_estimate(self) -> LoadEstimate:
        """What it has to do now."""


C = TypeVar("C", bound=Candidate)


def slower(one: LoadEstimate, other: LoadEstimate, now: float) -> float:
    """How many times as long one is expected to take with a request as the other."""
    pace = one.pace.over(other.pace, now)
    if 1 - FORGIVEN < pace < 1 + FORGIVEN:
        pace = 1.0
    return pace * one.answers_until_done(now) / other.answers_until_done(now)


def choose(candidates: Sequence[C], chance: Random, now: float) -> C:
    """The best of three candidates taken at random; there must be one.

    A few random choices come close to the best of all without the herd that runs to the one that reported last
    (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001). Three rather than two, because where a
    quarter of the workers is slow, two of two are slow once in sixteen times, and that is what the 99th percentile sees.
    """
    best, *others = _drawn(candidates, chance)
    for one in others:
        ratio = slower(best.load_estimate, one.load_estimate, now)
        if ratio > 1 or (ratio == 1 and chance.random() < 0.5):
            best = one
    return best


def choose_fit(candidates: Sequence[C], fits: Callable[[C], bool], chance: Random, now: float) -> C | None:
    """The same among those that fit, most of which do: so some are drawn first, and all looked at only where that fails."""
    if len(candidates) > DRAWN:
        for _ in range(DRAWS):
            drawn = _drawn(candidates, chance)
            if all(map(fits, drawn)):
                return choose(drawn, chance, now)
    fitting = [one for one in candidates if fits(one)]
    return choose(fitting, chance, now) if fitting else None


def prefers(known: C, other: C, now: float) -> bool:
    """Whether to take the one that knows the beginning of a prompt, rather than the other."""
    one, two = known.load_estimate, other.load_estimate
    return known is other or (
        one.answers_until_done(now) <= STICKY * two.answers_until_done(now)
        and one.pace.over(two.pace, now) <= STICKY_PACE
    )


def _drawn(candidates: Sequence[C], chance: Random) -> Sequence[C]:
    """Some of them, in no order that favours anybody."""
    count = len(candidates)
    first = int(chance.random() * count)
    if count <= DRAWN:
        return (*candidates[first:], *candidates[:first])
    numbers = [first]
    while len(numbers) < DRAWN:
        number = int(chance.random() * count)
        if number not in numbers:
            numbers.append(number)
    return [candidates[number] for number in numbers]
