"""The admissions that count in one window, exactly. Pure: the time is an argument and must not go back."""

import math
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

GRAINS = 10_000
"""Up to so many requests in a window are remembered one by one. A window of more is divided into so many grains, and what
is admitted in one grain is one entry that counts to the grain's end: a ten-thousandth of the window longer at most."""


@dataclass(frozen=True, slots=True)
class Window:
    """At most `requests` in any `length_s` seconds. An admission at t counts in (t - length, t]."""

    requests: int
    length_s: float

    @property
    def grain_s(self) -> float:
        """How far apart admissions are told apart."""
        return self.length_s / GRAINS if self.requests > GRAINS else 0.0


class Log:
    """Admissions in one window, oldest first, at most 32 bytes each. It counts what is added, whatever the limit is."""

    __slots__ = ("_befores", "_grain_s", "_head", "_length_s", "_times", "_total")

    def __init__(self, window: Window) -> None:
        # An entry is its time and how many were admitted before it; those ahead of `_head` count no longer.
        self._times = array("d")
        self._befores = array("q")
        self._head = 0
        self._total = 0
        self._length_s = window.length_s
        self._grain_s = window.grain_s

    def __len__(self) -> int:
        """How many entries count, as of the last `forget`."""
        return len(self._times) - self._head

    def __iter__(self) -> Iterator[tuple[float, int]]:
        """When how many were admitted, oldest first."""
        afters = [*self._befores[1:], self._total]
        for time, before, after in list(zip(self._times, self._befores, afters, strict=True))[self._head :]:
            yield time, after - before

    def copy(self) -> "Log":
        """The same, for itself."""
        other = Log.__new__(Log)
        other._times, other._befores = self._times[:], self._befores[:]
        other._head, other._total = self._head, self._total
        other._length_s, other._grain_s = self._length_s, self._grain_s
        return other

    @property
    def count(self) -> int:
        """How many admissions count, as of the last `forget`."""
        return self._total - self._befores[self._head] if self._head < len(self._times) else 0

    def change(self, window: Window) -> None:
        """Go on with another limit for the same length."""
        self._grain_s = window.grain_s

    def forget(self, now: float) -> int:
        """Let go of what counts no longer; returns by how much `len` has become less."""
        horizon = now - self._length_s
        before, size = self._head, len(self._times)
        if before == size or self._times[before] > horizon:
            return 0
        head = self._head = bisect_right(self._times, horizon, before)
        if 2 * head >= size:  # what is moved forward is less than what is let go of
            del self._times[:head], self._befores[:head]
            self._head = 0
        return head - before

    def add(self, now: float) -> int:
        """Count an admission; returns by how much `len` has become more."""
        times = self._times
        last = times[-1] if times else -math.inf
        self._total += 1
        if self._grain_s and now <= last:
            return 0
        times.append(max(now + self._grain_s, last))
        self._befores.append(self._total - 1)
        return 1

    def resets_in_s(self, now: float) -> float:
        """When the oldest leaves, so that one more fits; 0 if there is none."""
        return self._times[self._head] + self._length_s - now if self._head < len(self._times) else 0.0

    def frees_in_s(self, limit: int, now: float) -> float:
        """When there is room under a limit: as the limit-th last admission leaves. Never, for a limit of 0."""
        if limit < 1:
            return self._length_s
        if self.count < limit:
            return 0.0
        entry = bisect_right(self._befores, self._total - limit, self._head) - 1
        # The smallest step above zero where rounding would say "now": the entry is still inside.
        return max(self._times[entry] + self._length_s - now, math.ulp(now))
