"""A circuit breaker: what keeps failing is left alone for a while, then tried with one request. Pure."""

FAILURES = 3
"""Failures in a row that open it."""
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0


class Breaker:
    """Closed it lets everything through, open nothing; after a pause one probe decides, and each failed one doubles it."""

    __slots__ = ("_failures", "_opened_until", "_pause_s", "_probing_until")

    def __init__(self) -> None:
        self._failures = 0
        self._pause_s = FIRST_PAUSE_S
        self._opened_until: float | None = None
        self._probing_until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether it has kept failing, and no probe has been answered yet."""
        return self._opened_until is not None

    def allows(self, now: float) -> bool:
        """Whether a request may be sent now. Ask `began` to take the place of the one probe."""
        return self._opened_until is None or (now >= self._opened_until and now >= self._probing_until)

    def began(self, now: float) -> None:
        """A request is being sent; a probe that never reports counts as lost after the longest pause."""
        if self._opened_until is not None:
            self._probing_until = now + LONGEST_PAUSE_S

    def succeeded(self) -> None:
        """A request was answered."""
        if self._failures or self._opened_until is not None:
            self._failures = 0
            self._pause_s = FIRST_PAUSE_S
            self._opened_until = None
            self._probing_until = 0.0

    def failed(self, now: float) -> None:
        """A request failed for a reason that lies with the other side. Of many that were under way when it opened, those
        that fail after it tell nothing new."""
        self._failures += 1
        if self._opened_until is not None:
            if now < self._opened_until or not self._probing_until:
                return
            self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)
        if self._opened_until is not None or self._failures >= FAILURES:
            self._opened_until = now + self._pause_s
            self._probing_until = 0.0

    def released(self) -> None:
        """A request ended without telling anything, as when its caller went away: its probe is given back."""
        self._probing_until = 0.0

    def opens_in_s(self, now: float) -> float:
        """Seconds until a request may be tried; 0 if it may be now."""
        if self.allows(now) or self._opened_until is None:
            return 0.0
        return max(self._opened_until, self._probing_until) - now
