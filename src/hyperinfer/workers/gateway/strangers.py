"""How often what needs no credential may be tried."""

import math

from hyperinfer.errors import RateLimited
from hyperinfer.facilities.clock import Clock
from hyperinfer.protocol.limits import SlidingLog, Window

MINUTE_S = 60.0


class StrangerLimits:
    """How often what needs no credential may be tried in a minute: by each remote host or peer, and by all together."""

    def __init__(self, clock: Clock, *, per_host: int, total: int) -> None:
        self._clock = clock
        self._host = (Window(per_host, MINUTE_S),)
        self._total = (Window(total, MINUTE_S),)
        self._log = SlidingLog(max_entries=2 * total)

    def admit(self, remote: str) -> None:
        """Count a try. Raises `RateLimited`."""
        now = self._clock.monotonic()
        for key, windows in ((f"of {remote}", self._host), ("total", self._total)):
            admitted, standing = self._log.admit(key, windows, now)
            if not admitted and standing:
                raise RateLimited(
                    f"Too many tries. Try again in {math.ceil(standing.retry_after_s)} s.",
                    retry_after_s=standing.retry_after_s,
                )
