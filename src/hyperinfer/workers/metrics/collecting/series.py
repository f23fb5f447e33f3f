"""One time series of one worker: what it is called, and how its value changed lately."""

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from math import isnan, nan

GONE = nan
"""The value where a series was not there; also what a worker's restart makes of all that it had counted."""


class Series:
    """A series by its text in Prometheus' format, `key`; labels are names and values in turn. `is_crossed` says that one of them has
    a name of ours.

    Changes alone are kept, as the number of a collection and the value from then on: most series of a worker rest.
    """

    __slots__ = ("_changes", "is_crossed", "key", "labels", "metric")

    def __init__(self, key: str, metric: str, labels: tuple[str, ...], *, is_crossed: bool = False) -> None:
        self.key = key
        self.metric = metric
        self.labels = labels
        self.is_crossed = is_crossed
        self._changes = array("d")

    @property
    def value(self) -> float | None:
        """The newest value; none where it has gone."""
        return None if not self._changes or isnan(self._changes[-1]) else self._changes[-1]

    @property
    def labels_by_name(self) -> dict[str, str]:
        """Its labels."""
        return dict(zip(self.labels[::2], self.labels[1::2], strict=True))

    def set(self, number: int, value: float) -> None:
        """Its value from a collection on."""
        changes = self._changes
        if not changes or changes[-1] != value:
            changes.append(number)
            changes.append(value)

    def gone(self, number: int) -> None:
        """It is not there any more, or what it counted is forgotten."""
        if self.value is not None:
            self._changes.append(number)
            self._changes.append(GONE)

    def forget(self, number: int) -> bool:
        """Forget what was before a collection, except for the value that it had then; says whether anything is left."""
        first = self._at(number)
        if first > 0:
            del self._changes[: 2 * first]
        return len(self._changes) > 2 or self.value is not None

    def increase(self, since: int) -> float:
        """How much a counter has grown since a collection. What was not there had counted nothing, and what is less than it was
        has begun anew."""
        first = self._at(since)
        before = self._changes[2 * first + 1] if first >= 0 else GONE
        total = 0.0
        for value in self._changes[2 * first + 3 :: 2]:
            if not isnan(value):
                total += value - before if value >= before else value  # no value is at least NaN
            before = value
        return total

    def has(self, wanted: Mapping[str, frozenset[str]]) -> bool:
        """Whether its labels have these values; a label that it has not is an empty one, as in Prometheus."""
        if not wanted:
            return True
        labels = self.labels_by_name
        return all(labels.get(name, "") in values for name, values in wanted.items())

    def __len__(self) -> int:
        """How many changes are kept."""
        return len(self._changes) // 2

    def __iter__(self) -> Iterator[tuple[int, float]]:
        """The changes, oldest first: number of the collection, value."""
        return ((int(self._changes[at]), self._changes[at + 1]) for at in range(0, len(self._changes), 2))

    def _at(self, number: int) -> int:
        """Which change held at a collection; -1 for none."""
        return bisect_right(range(len(self)), number, key=lambda at: int(self._changes[2 * at])) - 1
