"""The metrics facility: what a worker counts and measures, cheaply enough to do for every request, and bounded."""

from prometheus_client import disable_created_metrics

from hyperinfer.facilities.metrics.buckets import DURATIONS_S, FIRST_TOKENS_S, STEPS_S
from hyperinfer.facilities.metrics.capped import OTHER, CappedLabels
from hyperinfer.facilities.metrics.families import Count, Counters, Distribution, Histograms
from hyperinfer.facilities.metrics.text import written

__all__ = [
    "DURATIONS_S",
    "FIRST_TOKENS_S",
    "OTHER",
    "STEPS_S",
    "CappedLabels",
    "Count",
    "Counters",
    "Distribution",
    "Histograms",
    "written",
]

# prometheus-client would show a series more for each of its own counters, of when it was made; nobody reads them.
disable_created_metrics()  # type: ignore[no-untyped-call]
