"""How it has been lately: counts that fade, so that what was long ago says nothing of now."""

from hyperinfer.facilities.clock import Clock

HALF_LIFE_S = 10.0
"""After so long something counts half."""
MOST = 10.0
"""How many requests are remembered at most: a hundred that fail together tell no more than ten, and are not told for longer."""
BENEFIT = 1.0
"""Good requests that everybody is taken to have had: one failure alone is not a share of everything."""


class FailureRate:
    """The share of requests that failed, from 0 to 1. It falls by itself while nothing is asked, so that who was avoided for
    it is tried again."""

    __slots__ = ("_asked", "_clock", "_failed", "_seen_at")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._asked = 0.0
        self._failed = 0.0
        self._seen_at = clock.monotonic()

    def succeeded(self) -> None:
        """A request was answered."""
        self._fade()
        self._asked += 1
        self._bound()

    def failed(self) -> None:
        """A request failed."""
        self._fade()
        self._asked += 1
        self._failed += 1
        self._bound()

    @property
    def share(self) -> float:
        """The share now."""
        self._fade()
        return self._failed / (self._asked + BENEFIT)

    def _bound(self) -> None:
        if self._asked > MOST:
            self._failed *= MOST / self._asked
            self._asked = MOST

    def _fade(self) -> None:
        now = self._clock.monotonic()
        left = 0.5 ** ((now - self._seen_at) / HALF_LIFE_S)
        self._asked *= left
        self._failed *= left
        self._seen_at = now
