"""Counters and histograms that the event loop feeds, in a registry of prometheus-client's and shown by it.

Its own take a lock for every number and look through the bounds from the first one on: measured, 0.35 µs to count and up to
1.3 µs to observe, where these take 0.06 µs and 0.2 µs. A request counts about ten things. They belong to one thread.
"""

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

Child = TypeVar("Child")


class Count:
    """One number that only grows."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def inc(self, amount: float = 1.0) -> None:
        """Count one more, or so many."""
        self.value += amount


class Distribution:
    """How often what was observed lay between two bounds, and its sum. A bound belongs to what is below it."""

    __slots__ = ("_bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Take note of a value."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.sum += value


class Family(ABC, Generic[Child]):
    """All series of one metric. Look up a child once and keep it: the lookup costs more than the counting."""

    kind: str

    def __init__(
        self, name: str, documentation: str, label_names: Sequence[str] = (), *, registry: CollectorRegistry
    ) -> None:
        self.name = name
        self.documentation = documentation
        self.label_names = tuple(label_names)
        self._children: dict[tuple[str, ...], Child] = {}
        registry.register(self)

    def labels(self, *values: str) -> Child:
        """The series with these values, in the order of the names; made if there is none."""
        child = self._children.get(values)
        if child is None:
            assert len(values) == len(self.label_names)
            child = self._children[values] = self._new()
        return child

    def forget(self, label_name: str, value: str) -> None:
        """Let go of every series with this value; what its holders still count is seen by nobody."""
        at = self.label_names.index(label_name)
        for values in [values for values in self._children if values[at] == value]:
            del self._children[values]

    def describe(self) -> list[Metric]:
        """The metric without its series."""
        return [Metric(self.name, self.documentation, self.kind)]

    def collect(self) -> list[Metric]:
        """The metric with its series."""
        [metric] = self.describe()
        for values, child in self._children.items():
            labels = dict(zip(self.label_names, values, strict=True))
            for suffix, more, value in self._samples(child):
                metric.add_sample(self.name + suffix, labels | more, value)
        return [metric]

    @abstractmethod
    def _new(self) -> Child:
        """A series that has counted nothing yet."""

    @abstractmethod
    def _samples(self, child: Child) -> Iterable[tuple[str, dict[str, str], float]]:
        """What is shown of a series: suffixes of the name, further labels, values."""


class Counters(Family[Count]):
    """A counter; `name` goes without `_total`, which is added."""

    kind = "counter"

    def _new(self) -> Count:
        return Count()

    def _samples(self, child: Count) -> Iterable[tuple[str, dict[str, str], float]]:
        return (("_total", {}, child.value),)


class Histograms(Family[Distribution]):
    """A histogram with these upper bounds, and one more for what is above them."""

    kind = "histogram"

    def __init__(
        self,
        name: str,
        documentation: str,
        label_names: Sequence[str] = (),
        *,
        registry: CollectorRegistry,
        buckets: Sequence[float],
    ) -> None:
        self._bounds = tuple(map(float, buckets))
        assert list(self._bounds) == sorted(set(self._bounds))
        self._texts = (*({"le": str(bound)} for bound in self._bounds), {"le": "+Inf"})
        super().__init__(name, documentation, label_names, registry=registry)

    def _new(self) -> Distribution:
        return Distribution(self._bounds)

    def _samples(self, child: Distribution) -> Iterator[tuple[str, dict[str, str], float]]:
        total = 0
        for bound, total in zip(self._texts, accumulate(child.counts), strict=True):
            yield "_bucket", bound, float(total)
        yield "_count", {}, float(total)
        yield "_sum", {}, child.sum
