"""Request limits by key: exact sliding windows over a bounded log of admissions. Pure: the time is an argument."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from hyperinfer.protocol.limits.log import Log, Window


@dataclass(frozen=True, slots=True)
class WindowStanding:
    """How a key stands to the window that is nearest to its end.

    `resets_in_s` is when the oldest admission leaves that window, so that one more fits. `retry_after_s` is 0 where
    the next request would be admitted.
    """

    window: Window
    remaining: int
    resets_in_s: float
    retry_after_s: float


class SlidingLog:
    """Admissions per key and window, at most `max_entries` in all.

    Exact in every window, unlike counters per clock minute, which let twice the limit pass round a full minute. The
    memory is bounded by refusing: a key that has no room left in the log is not admitted. Time must not go back.
    """

    def __init__(self, *, max_entries: int = 1_000_000) -> None:
        self._max_entries = max_entries
        self._entries = 0
        # Oldest last admission first, so that those who have gone are at the front.
        self._keys: OrderedDict[str, _Key] = OrderedDict()

    def __len__(self) -> int:
        return self._entries

    def admit(self, key: str, windows: Sequence[Window], now: float) -> tuple[bool, WindowStanding | None]:
        """Count one request if every window has room for it; says whether, and how the key then stands.

        Without windows nothing is limited, nothing is kept and there is no standing.
        """
        if not windows:
            return True, None
        known = self._current(key, windows, now)
        if any(known.logs[window.length_s].count >= window.requests for window in windows):
            return False, _standing(known, windows, now)
        if not self._has_room(len(known.logs), now):
            longest = max(windows, key=lambda window: window.length_s)
            return False, WindowStanding(longest, 0, 1.0, 1.0)
        self._entries += sum(log.add(now) for log in known.logs.values())
        known.expires = now + max(known.logs)
        self._keys[key] = known
        self._keys.move_to_end(key)
        return True, _standing(known, windows, now)

    def look(self, key: str, windows: Sequence[Window], now: float) -> WindowStanding | None:
        """How a key stands, nothing being counted."""
        return _standing(self._current(key, windows, now), windows, now) if windows else None

    def _current(self, key: str, windows: Sequence[Window], now: float) -> "_Key":
        """What is known of a key, without the admissions that no longer count."""
        known = self._keys.get(key) or _Key()
        for length_s in known.logs.keys() - {window.length_s for window in windows}:
            self._entries -= len(known.logs.pop(length_s))  # the key has other limits than before
        for window in windows:
            log = known.logs.get(window.length_s)
            if log is None:
                known.logs[window.length_s] = Log(window)
            else:
                log.change(window)
                self._entries -= log.forget(now)
        return known

    def _has_room(self, wanted: int, now: float) -> bool:
        """Whether so many more entries fit, once keys whose last admission no longer counts are forgotten."""
        while self._keys:
            key, known = next(iter(self._keys.items()))
            if known.expires > now:
                break
            self._entries -= sum(map(len, known.logs.values()))
            del self._keys[key]
        return self._entries + wanted <= self._max_entries


class _Key:
    """One key's admissions for each window length, and when the last of them stops to count."""

    __slots__ = ("expires", "logs")

    def __init__(self) -> None:
        self.logs: dict[float, Log] = {}
        self.expires = 0.0


def _standing(known: _Key, windows: Sequence[Window], now: float) -> WindowStanding:
    retry_after_s = 0.0
    nearest: tuple[int, float, Window] | None = None
    for window in windows:
        log = known.logs[window.length_s]
        remaining = max(0, window.requests - log.count)
        resets_in_s = log.resets_in_s(now)
        retry_after_s = max(retry_after_s, log.frees_in_s(window.requests, now))
        if nearest is None or (remaining, -resets_in_s) < (nearest[0], -nearest[1]):
            nearest = (remaining, resets_in_s, window)
    assert nearest is not None
    return WindowStanding(nearest[2], nearest[0], nearest[1], retry_after_s)
