"""Which worker gets a request: the less loaded of two taken at random. Pure: chance is an argument."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol, TypeVar


class Loaded(Protocol):
    """What has a load: requests under way or waiting, for each slot."""

    @property
    def load(self) -> float:
        """0 is idle, 1 is every slot taken, more is a queue."""


C = TypeVar("C", bound=Loaded)


@dataclass(slots=True)
class LoadEstimate:
    """What a worker has to do now: what others gave it when it last reported, and what we have given it since.

    Reports are up to a second old; our own share is known to the request, so it is counted here and not there.
    """

    slots: int = 1
    others: int = 0
    own: int = 0

    def reported(self, *, slots: int, busy: int, queued: int) -> None:
        """The worker has said how busy it is."""
        self.slots = max(1, slots)
        self.others = max(0, busy + queued - self.own)

    @property
    def load(self) -> float:
        """Requests for each slot."""
        return (self.others + self.own) / self.slots


def choose(candidates: Sequence[C], chance: Random) -> C:
    """The less loaded of two candidates taken at random; there must be one.

    Two random choices come close to the least loaded of all without the herd that runs to the one that reported last
    (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001).
    """
    if len(candidates) == 1:
        return candidates[0]
    first = chance.randrange(len(candidates))
    second = chance.randrange(len(candidates) - 1)
    if second >= first:
        second += 1
    one, other = candidates[first], candidates[second]
    return one if one.load <= other.load else other
