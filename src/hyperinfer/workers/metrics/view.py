"""What was collected lately, as rules and figures look at it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from hyperinfer.contracts.metrics import WorkerHealth


class View(Protocol):
    """The swarm at the last collection, and as far back as it is remembered. Workers are named by their hex keys, metrics as
    they are in Prometheus' text format (`ai_platform_requests_total`, `…_bucket`, `…_sum`).

    Labels that are given must match; one value or several that may. What is not known is none, never zero.
    """

    @property
    def now(self) -> datetime:
        """When that collection ended."""

    @property
    def workers(self) -> Sequence[WorkerHealth]:
        """Every worker that the swarm admits, whether it answered or not."""

    def value(self, worker: str, metric: str, **labels: str | Sequence[str]) -> float | None:
        """The newest samples that match, summed."""

    def values(self, worker: str, metric: str) -> Sequence[tuple[Mapping[str, str], float]]:
        """The newest samples of a metric, each with its labels."""

    def increase(self, worker: str, metric: str, *, over_s: float, **labels: str | Sequence[str]) -> float | None:
        """How much the counters that match have grown together; a restart that set them to nothing is allowed for."""

    def mean(self, worker: str, histogram: str, *, over_s: float, **labels: str | Sequence[str]) -> float | None:
        """The mean of what the histograms that match observed in that time; none if they observed nothing."""

    def quantile(
        self, worker: str, histogram: str, q: float, *, over_s: float, **labels: str | Sequence[str]
    ) -> float | None:
        """The q-quantile of the same, interpolated within its bucket as Prometheus does."""
