"""A registry in Prometheus' text format, as prometheus-client writes it, in a tenth of the time where families are ours.

A gateway with fifty models shows some 4,500 numbers, and answers nobody while they are written.
"""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric

from hyperinfer.facilities.metrics.families import FamilyMetric


class _One:
    """A single metric, as prometheus-client wants to be given it."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Sequence[Metric]:
        """It."""
        return (self._metric,)


def written(registry: CollectorRegistry) -> str:
    """Everything in a registry."""
    return "".join(
        metric.family.text() if isinstance(metric, FamilyMetric) else generate_latest(_One(metric)).decode()
        for metric in registry.collect()
    )
