"""How many requests a user may make: the tiers' windows over the exact sliding log."""

import math

from hyperinfer.contracts.auth import Principal
from hyperinfer.contracts.gateway import RateLimitInfo
from hyperinfer.errors import RateLimited
from hyperinfer.facilities.clock import Clock
from hyperinfer.protocol.limits import SlidingLog, Window, WindowStanding
from hyperinfer.workers.gateway.config import LimitSettings

MINUTE_S = 60.0
HOUR_S = 3600.0
UNLIMITED = "unlimited"


class RequestLimits:
    """Request limits per user, in this gateway's memory."""

    def __init__(self, settings: LimitSettings, clock: Clock) -> None:
        self._clock = clock
        self._log = SlidingLog(max_entries=settings.max_logged)

    def admit(self, who: Principal) -> RateLimitInfo | None:
        """Count a request; says what is left, or nothing where nothing limits.

        Raises `RateLimited` with what the limit is and when to come again.
        """
        admitted, standing = self._log.admit(who.user_id, self._windows(who), self._clock.monotonic())
        if standing is None:
            return None
        told = _told(standing)
        if admitted:
            return told
        window = "minute" if standing.window.length_s == MINUTE_S else "hour"
        raise RateLimited(
            f"You have used your {standing.window.requests} requests a {window}. "
            f"Try again in {math.ceil(standing.retry_after_s)} s.",
            retry_after_s=standing.retry_after_s,
            remaining_requests=0,
            max_requests=told.max_requests,
            next_reset_in_seconds=told.next_reset_in_seconds,
            window_duration_minutes=told.window_duration_minutes,
        )

    def look(self, who: Principal) -> RateLimitInfo:
        """What is left to a user, nothing being counted."""
        standing = self._log.look(who.user_id, self._windows(who), self._clock.monotonic())
        return _told(standing) if standing else RateLimitInfo(None, None, 0, 0)

    def _windows(self, who: Principal) -> tuple[Window, ...]:
        return tuple(
            window
            for subject in who.subjects
            for window in _windows(subject.limits.requests_per_minute, subject.limits.requests_per_hour)
        )


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


def _windows(per_minute: int | None, per_hour: int | None) -> tuple[Window, ...]:
    limits = ((per_minute, MINUTE_S), (per_hour, HOUR_S))
    return tuple(Window(requests, length_s) for requests, length_s in limits if requests is not None)


def _told(standing: WindowStanding) -> RateLimitInfo:
    return RateLimitInfo(
        remaining_requests=standing.remaining,
        max_requests=standing.window.requests,
        next_reset_in_seconds=math.ceil(standing.resets_in_s),
        window_duration_minutes=round(standing.window.length_s / 60),
    )
