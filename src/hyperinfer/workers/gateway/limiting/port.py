"""What the gateway needs of a limiter, wherever that counts."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from hyperinfer.contracts.limits import Subject
from hyperinfer.protocol.limits import Hold, Standing
from hyperinfer.workers.gateway.journal.lines import TokenWindow

Keep = Callable[[Sequence[TokenWindow]], None]
"""Is told what token windows hold now whenever that has changed, to keep it over a restart."""


class Flight:
    """A request under way as Redis knows it: by an id, with its subjects. `unshared` is what it holds where Redis does
    not know of it yet."""

    __slots__ = ("hold", "id", "subjects", "unshared")

    def __init__(self, flight_id: str, subjects: Sequence[str], hold: Hold, unshared: Hold | None = None) -> None:
        self.id = flight_id
        self.subjects = tuple(subjects)
        self.hold = hold
        self.unshared = unshared


class Admission:
    """A request that has been let in: what it holds until it is settled, and how its subjects stood just then."""

    __slots__ = ("flight", "hold", "is_settled", "standing")

    def __init__(self, hold: Hold, standing: Standing, flight: Flight | None = None) -> None:
        self.hold = hold
        self.standing = standing
        self.flight = flight
        self.is_settled = False


class Limiter(Protocol):
    """Counts requests and tokens of subjects, and refuses what is beyond their limits."""

    @property
    def degraded(self) -> str | None:
        """Why limits are not counted as configured; nothing if they are."""

    async def admit(self, subjects: Sequence[Subject], *, tokens: int) -> Admission:
        """Let a request in that fits in the limits of all subjects, and hold so many tokens for it until it is settled.

        Raises `RateLimited`, and `Overloaded` where no more can be remembered; nothing is counted then. Whoever is given an
        admission settles it, whatever happens.
        """

    async def settle(self, admission: Admission, *, tokens: int) -> None:
        """A request has ended and has used so many tokens in all. Only the first time counts; nothing is raised."""

    async def look(self, subjects: Sequence[Subject]) -> Standing:
        """How subjects stand, nothing being counted."""

    def charge(self, subject: str, *, tokens: int, at: datetime) -> None:
        """Count tokens that were used at some time by a request of a run that was cut. `subject` is the id of one."""
