"""A budget of retries: so many for each request, and a reserve, so that a failing swarm is not asked ever more. Pure."""

EARNED = 0.2
"""Retries that each request earns."""
RESERVE = 200.0
"""Retries that can be saved up, which is enough for every stream of a worker that dies."""
EARNED_A_SECOND = 5.0
"""Retries earned by time alone, so that a gateway with few requests can retry each of them."""


class RetryBudget:
    """What is left of it. `now` is in seconds, on a scale that never goes back."""

    __slots__ = ("_at", "_left")

    def __init__(self, now: float) -> None:
        self._left = RESERVE
        self._at = now

    def earn(self, now: float) -> None:
        """A request has come."""
        self._left = min(RESERVE, self._left + EARNED + max(0.0, now - self._at) * EARNED_A_SECOND)
        self._at = now

    def spend(self, now: float) -> bool:
        """Take one retry out; whether there was one."""
        self._left = min(RESERVE, self._left + max(0.0, now - self._at) * EARNED_A_SECOND)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
