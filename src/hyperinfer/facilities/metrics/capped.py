"""Meters of things that come and go: so many of them at a time, and none much longer than what it is of."""

from collections.abc import Callable, Container, Sequence
from typing import Any, Generic, TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.metrics.families import Family

OTHER = "other"
"""What those share for whom there is no room."""
MOST = 100
GRACE_S = 3600.0
"""How long what nobody has used, and what is not there any more, keeps its series: time enough to be seen."""
ROOM_EVERY_S = 60.0
"""How often room is looked for, at most."""

Meters = TypeVar("Meters")


def _nothing() -> Container[str]:
    return ()


class _Entry(Generic[Meters]):
    __slots__ = ("is_used", "meters", "seen_at")

    def __init__(self, meters: Meters, now: float) -> None:
        self.meters = meters
        self.is_used = True
        self.seen_at = now


class CappedLabels(Generic[Meters]):
    """The meters of each value of one label, up to `most` values; what comes then shares `other`.

    `make` looks them up in the families. What is `there` keeps its series; what is not, and has not been asked for in `grace_s`, loses
    them: whenever somebody looks at the metrics, or room is needed.
    """

    def __init__(
        self,
        label_name: str,
        families: Sequence[Family[Any]],
        make: Callable[[str], Meters],
        *,
        registry: CollectorRegistry,
        clock: Clock,
        most: int = MOST,
        grace_s: float = GRACE_S,
    ) -> None:
        self.there: Callable[[], Container[str]] = _nothing
        self._label_name = label_name
        self._families = families
        self._make = make
        self._clock = clock
        self._most = most
        self._grace_s = grace_s
        self._entries: dict[str, _Entry[Meters]] = {}
        self._other: Meters | None = None
        self._looked_at = clock.monotonic()
        registry.register(self)

    def of(self, value: str) -> Meters:
        """The meters of a value."""
        entry = self._entries.get(value)
        if entry is None:
            return self._added(value)
        entry.is_used = True
        return entry.meters

    def collect(self) -> Sequence[Metric]:
        """Nothing of its own: it lets go of what is gone, as somebody looks."""
        self._let_go(self._clock.monotonic())
        return ()

    def describe(self) -> Sequence[Metric]:
        """Nothing."""
        return ()

    def _added(self, value: str) -> Meters:
        now = self._clock.monotonic()
        if len(self._entries) >= self._most and now - self._looked_at >= ROOM_EVERY_S:
            self._let_go(now)
        if value == OTHER or len(self._entries) >= self._most:
            self._other = self._other or self._make(OTHER)
            return self._other
        entry = self._entries[value] = _Entry(self._make(value), now)
        return entry.meters

    def _let_go(self, now: float) -> None:
        self._looked_at, there = now, self.there()
        for value, entry in tuple(self._entries.items()):
            if entry.is_used or value in there:
                entry.is_used, entry.seen_at = False, now
            elif now - entry.seen_at > self._grace_s:
                del self._entries[value]
                for family in self._families:
                    family.forget(self._label_name, value)
