"""The quantile of a histogram, as Prometheus takes it."""

from collections.abc import Mapping
from itertools import accumulate
from math import inf


def quantile(q: float, buckets: Mapping[float, float]) -> float | None:
    """The q-quantile (0 to 1) of cumulative counts by upper bound, interpolated within its bucket; none if there is nothing in them.

    As `histogram_quantile` of Prometheus: https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile
    """
    bounds = sorted(buckets)
    if len(bounds) < 2 or bounds[-1] != inf:
        return None
    counts = list(accumulate((buckets[bound] for bound in bounds), max))  # those not read in one moment may fall
    if not counts[-1]:
        return None
    rank = q * counts[-1]
    at = next((at for at, count in enumerate(counts[:-1]) if count >= rank), len(bounds) - 1)
    if at == len(bounds) - 1:
        return bounds[-2]
    if at == 0 and bounds[0] <= 0:
        return bounds[0]
    start, before = (bounds[at - 1], counts[at - 1]) if at else (0.0, 0.0)
    inside = counts[at] - before
    return start + (bounds[at] - start) * ((rank - before) / inside) if inside else None
