"""What one worker has shown lately, in a bounded memory.

A series that rests takes some 900 bytes, its line among them, and each change of its value 16 more: a worker with 2,000 series takes 2 MB
at rest, and 8 MB when all of them change each 5 seconds for 15 minutes.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import inf
from operator import itemgetter

from hyperinfer.workers.metrics.collecting.exposition import Exposition
from hyperinfer.workers.metrics.collecting.histogram import quantile
from hyperinfer.workers.metrics.collecting.series import Series

Wanted = Mapping[str, str | Sequence[str]]
"""Labels by name, with the value that each must have, or several of which it must have one."""

MAX_VALUE = 1e300
"""What is no number, or beyond this, is nothing to reckon with: it is as if it were not there."""
GONE_KEPT = 2
"""Series are kept up to so many times those that were shown last: the rest are gone, and the oldest of them make room."""


class Memory:
    """The series of a worker, by their text and by metric. Times are seconds on the clock's monotonic scale."""

    def __init__(self, *, remember_s: float) -> None:
        self.by_key: dict[str, Series] = {}
        self.last = Exposition()
        self._by_metric: dict[str, dict[str, Series]] = {}
        self._remember_s = remember_s
        self._times: deque[tuple[int, float]] = deque()
        self._number = 0
        self._shown = 0

    def take(self, shown: Exposition, now: float, *, has_restarted: bool) -> None:
        """Remember what was shown; after a restart every counter has begun anew."""
        self._number += 1
        number = self._number
        self._times.append((number, now))
        for key in self.by_key if has_restarted else self.by_key.keys() - shown.values.keys():
            self.by_key[key].gone(number)
        for series in shown.new:
            self.by_key[series.key] = series
            self._by_metric.setdefault(series.metric, {})[series.key] = series
        for key, value in shown.values.items():
            if -MAX_VALUE < value < MAX_VALUE:
                self.by_key[key].set(number, value)
            else:
                self.by_key[key].gone(number)
        self._shown = len(shown.values)
        shown.values, shown.new = {}, []  # they are remembered here
        self.last = shown
        self._forget(now)

    def __len__(self) -> int:
        """How many series are held."""
        return len(self.by_key)

    # --- asked ------------------------------------------------------------------------------------------------

    def value(self, metric: str, wanted: Wanted) -> float | None:
        """The newest values of a metric, summed; none where there are none."""
        found = [value for series in self._matching(metric, wanted) if (value := series.value) is not None]
        return sum(found) if found else None

    def values(self, metric: str) -> Sequence[tuple[Mapping[str, str], float]]:
        """The newest values of a metric with their labels."""
        matching = self._matching(metric, {})
        return [(series.labels_by_name, value) for series in matching if (value := series.value) is not None]

    def increase(self, metric: str, over_s: float, wanted: Wanted) -> float | None:
        """How much counters have grown together; none where there are none, or nothing is known of before."""
        since = self.since(over_s)
        found = list(self._matching(metric, wanted))
        if since is None or not found:
            return None
        return sum(series.increase(since[0]) for series in found)

    def increases(self, metric: str, over_s: float, wanted: Wanted, *, by: str) -> dict[str, float]:
        """The same for each value of a label."""
        since, found = self.since(over_s), dict[str, float]()
        if since is not None:
            for series in self._matching(metric, wanted):
                value = series.labels_by_name.get(by, "")
                found[value] = found.get(value, 0.0) + series.increase(since[0])
        return found

    def mean(self, histogram: str, over_s: float, wanted: Wanted) -> float | None:
        """The mean of what histograms have observed."""
        count = self.increase(f"{histogram}_count", over_s, wanted)
        total = self.increase(f"{histogram}_sum", over_s, wanted)
        return total / count if count and total is not None else None

    def quantile(self, histogram: str, q: float, over_s: float, wanted: Wanted) -> float | None:
        """The q-quantile of the same."""
        since = self.since(over_s)
        if since is None:
            return None
        buckets: dict[float, float] = {}
        for series in self._matching(f"{histogram}_bucket", wanted):
            bound = _bound(series.labels_by_name.get("le", ""))
            if bound is not None:
                buckets[bound] = buckets.get(bound, 0.0) + series.increase(since[0])
        return quantile(q, buckets)

    def since(self, over_s: float) -> tuple[int, float] | None:
        """The collection that was nearest to so long ago, and how long ago it was; none if there was but one."""
        if len(self._times) < 2:
            return None
        now, last = self._times[-1][1], len(self._times) - 2
        after = bisect_left(self._times, now - over_s, hi=last, key=itemgetter(1))
        nearest = (self._times[at] for at in (max(0, after - 1), after))
        number, at = min(nearest, key=lambda one: abs(one[1] - (now - over_s)))
        return number, now - at

    def _matching(self, metric: str, wanted: Wanted) -> Iterator[Series]:
        sets = {name: frozenset((one,) if isinstance(one, str) else one) for name, one in wanted.items()}
        return (series for series in self._by_metric.get(metric, {}).values() if series.has(sets))

    # --- bounded ----------------------------------------------------------------------------------------------

    def _forget(self, now: float) -> None:
        """Forget what is older than is to be remembered, and series that went before that."""
        if len(self._times) > 2 and now - self._times[1][1] < self._remember_s:
            return self._make_room()
        while len(self._times) > 2 and now - self._times[1][1] >= self._remember_s:
            self._times.popleft()
        oldest = self._times[0][0]
        self._drop(series for series in tuple(self.by_key.values()) if not series.forget(oldest))
        return self._make_room()

    def _make_room(self) -> None:
        too_many = len(self.by_key) - GONE_KEPT * max(self._shown, 1000)
        if too_many > 0:
            gone = (series for series in tuple(self.by_key.values()) if series.value is None)
            self._drop(series for _, series in zip(range(too_many), gone, strict=False))

    def _drop(self, gone: Iterable[Series]) -> None:
        for series in gone:
            del self.by_key[series.key]
            of_metric = self._by_metric[series.metric]
            del of_metric[series.key]
            if not of_metric:
                del self._by_metric[series.metric]


def _bound(text: str) -> float | None:
    try:
        return inf if text == "+Inf" else float(text)
    except ValueError:
        return None
