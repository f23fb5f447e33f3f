"""Request limits: an exact sliding window over a bounded log of admissions. Pure: the time is an argument."""

import math
from bisect import bisect_right
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass

Log = deque[float]


@dataclass(frozen=True, slots=True)
class Window:
    """At most `requests` in any `length_s` seconds. An admission at t counts in (t - length, t]."""

    requests: int
    length_s: float


@dataclass(frozen=True, slots=True)
class Standing:
    """How someone stands to the limit that is nearest to its end.

    `resets_in_s` is when the oldest admission leaves that window, so that one more fits. `retry_after_s` is 0 where
    the next request would be admitted.
    """

    window: Window
    remaining: int
    resets_in_s: float
    retry_after_s: float


class SlidingLog:
    """Admissions per key, at most `max_entries` over all keys.

    Exact in every window, unlike counters per clock minute, which let twice the limit pass round a full minute. The
    memory is bounded by refusing: a key that has no room left in the log is not admitted. Time must not go back.
    """

    def __init__(self, *, max_entries: int = 1_000_000) -> None:
        self._max_entries = max_entries
        self._entries = 0
        # Oldest last admission first, so that those who have gone are at the front.
        self._logs: OrderedDict[str, tuple[Log, float]] = OrderedDict()

    def __len__(self) -> int:
        return self._entries

    def admit(self, key: str, windows: Sequence[Window], now: float) -> tuple[bool, Standing | None]:
        """Count one request if every window has room for it; says whether, and how the key then stands.

        Without windows nothing is limited, nothing is kept and there is no standing.
        """
        if not windows:
            return True, None
        log = self._log(key, windows, now)
        standing = _standing(log, windows, now)
        if standing.retry_after_s > 0:
            return False, standing
        if not self._has_room(now):
            longest = max(windows, key=lambda window: window.length_s)
            return False, Standing(longest, 0, 1.0, 1.0)
        log.append(now)
        self._entries += 1
        self._logs[key] = (log, now + max(window.length_s for window in windows))
        self._logs.move_to_end(key)
        return True, _standing(log, windows, now)

    def look(self, key: str, windows: Sequence[Window], now: float) -> Standing | None:
        """How a key stands, nothing being counted."""
        return _standing(self._log(key, windows, now), windows, now) if windows else None

    def _log(self, key: str, windows: Sequence[Window], now: float) -> Log:
        """The key's admissions that still count in some window."""
        found = self._logs.get(key)
        if found is None:
            return deque()
        log = found[0]
        horizon = now - max(window.length_s for window in windows)
        while log and log[0] <= horizon:
            log.popleft()
            self._entries -= 1
        return log

    def _has_room(self, now: float) -> bool:
        """Whether one more entry fits, once keys whose last admission no longer counts are forgotten."""
        while self._logs:
            key, (log, expires) = next(iter(self._logs.items()))
            if expires > now:
                break
            self._entries -= len(log)
            del self._logs[key]
        return self._entries < self._max_entries


def _standing(log: Log, windows: Sequence[Window], now: float) -> Standing:
    retry_after_s = 0.0
    nearest: tuple[int, float, Window] | None = None
    for window in windows:
        first = bisect_right(log, now - window.length_s)
        remaining = max(0, window.requests - (len(log) - first))
        resets_in_s = log[first] + window.length_s - now if first < len(log) else 0.0
        if remaining == 0:
            retry_after_s = max(retry_after_s, _frees_in_s(log, window, now))
        if nearest is None or (remaining, -resets_in_s) < (nearest[0], -nearest[1]):
            nearest = (remaining, resets_in_s, window)
    assert nearest is not None
    return Standing(nearest[2], nearest[0], nearest[1], retry_after_s)


def _frees_in_s(log: Log, window: Window, now: float) -> float:
    """When a full window has room again: as its limit-th last admission leaves it. Never, for a limit of 0."""
    if window.requests < 1:
        return window.length_s
    # The smallest step above zero where rounding would say "now": the entry is still inside.
    return max(log[-window.requests] + window.length_s - now, math.ulp(now))
