"""Counters and histograms that the event loop feeds, in a registry of prometheus-client's and shown by it.

Its own take a lock for every number and look through the bounds from the first one on: measured, 0.35 µs to count and up to
1.3 µs to observe, where these take 0.06 µs and 0.2 µs. A request counts about ten things. They belong to one thread.

They keep what stands before each number in Prometheus' text, for that is most of it and never changes; see `written`.
"""

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any, Generic, TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric, Sample
from prometheus_client.utils import floatToGoString

Child = TypeVar("Child")

MILLION = 1_000_000
"""From here on Go writes numbers with an exponent, and so does Prometheus' text."""


TOTAL: Sequence[tuple[str, Mapping[str, str]]] = (("_total", {}),)


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
        self._before: dict[tuple[str, ...], tuple[str, ...]] = {}
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
            self._before.pop(values, None)

    def describe(self) -> list[Metric]:
        """The metric without its series."""
        return [Metric(self.name, self.documentation, self.kind)]

    def collect(self) -> list[Metric]:
        """The metric with its series."""
        return [FamilyMetric(self)]

    def samples(self) -> list[Sample]:
        """Every number with its name and labels."""
        return [
            Sample(self.name + suffix, {**dict(zip(self.label_names, values, strict=True)), **more}, value)
            for values, child in self._children.items()
            for (suffix, more), value in zip(self._shown, self._values(child), strict=True)
        ]

    def text(self) -> str:
        """The same as Prometheus' text format has it, with help and type."""
        suffix = "_total" if self.kind == "counter" else ""
        help_text = self.documentation.replace("\\", r"\\").replace("\n", r"\n")
        lines = [f"# HELP {self.name}{suffix} {help_text}\n# TYPE {self.name}{suffix} {self.kind}\n"]
        for values, child in self._children.items():
            before = self._before.get(values)
            if before is None:
                before = self._before[values] = tuple(self._begin(values, *shown) for shown in self._shown)
            lines += [f"{begin}{_number(value)}\n" for begin, value in zip(before, self._values(child), strict=True)]
        return "".join(lines)

    def _begin(self, values: tuple[str, ...], suffix: str, more: Mapping[str, str]) -> str:
        """What stands before a number."""
        labels = {**dict(zip(self.label_names, values, strict=True)), **more}
        told = ",".join(f'{name}="{_escaped(value)}"' for name, value in sorted(labels.items()))
        return f"{self.name}{suffix}{{{told}}} " if told else f"{self.name}{suffix} "

    @abstractmethod
    def _new(self) -> Child:
        """A series that has counted nothing yet."""

    @property
    @abstractmethod
    def _shown(self) -> Sequence[tuple[str, Mapping[str, str]]]:
        """What is shown of a series: suffixes of the name, and further labels."""

    @abstractmethod
    def _values(self, child: Child) -> Iterable[float]:
        """The numbers for these."""


class FamilyMetric(Metric):
    """A family's metric at the moment, whose samples are made only if somebody wants them one by one."""

    def __init__(self, family: Family[Any]) -> None:
        super().__init__(family.name, family.documentation, family.kind)
        self.family = family
        del self.samples

    def __getattr__(self, name: str) -> Any:
        if name != "samples":
            raise AttributeError(name)
        self.samples = self.family.samples()
        return self.samples


class Counters(Family[Count]):
    """A counter; `name` goes without `_total`, which is added."""

    kind = "counter"

    def _new(self) -> Count:
        return Count()

    @property
    def _shown(self) -> Sequence[tuple[str, Mapping[str, str]]]:
        return TOTAL

    def _values(self, child: Count) -> Iterable[float]:
        return (child.value,)


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
        bounds = (*map(str, self._bounds), "+Inf")
        self._rows = (*(("_bucket", {"le": bound}) for bound in bounds), ("_count", {}), ("_sum", {}))
        super().__init__(name, documentation, label_names, registry=registry)

    def _new(self) -> Distribution:
        return Distribution(self._bounds)

    @property
    def _shown(self) -> Sequence[tuple[str, Mapping[str, str]]]:
        return self._rows

    def _values(self, child: Distribution) -> Iterable[float]:
        totals = [float(total) for total in accumulate(child.counts)]
        return (*totals, totals[-1], child.sum)


def _number(value: float) -> str:
    if 0 <= value < MILLION:
        return repr(value)
    text: str = floatToGoString(value)  # type: ignore[no-untyped-call]
    return text


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
