"""How many people have asked for an answer lately: counted by when each was here last."""

from collections import OrderedDict
from collections.abc import Sequence

from prometheus_client.core import GaugeMetricFamily, Metric

from hyperinfer.facilities.clock import Clock

WINDOWS_S = {"5m": 300.0, "1h": 3600.0, "24h": 86_400.0}
MOST = 20_000
"""How many people are remembered. Figures are exact up to it; of more in a day, those who were here last are counted."""


class ActiveUsers:
    """People by when they last asked, the latest last. Nothing of it is ever written down."""

    def __init__(self, clock: Clock, *, most: int = MOST) -> None:
        self._clock = clock
        self._most = most
        self._last: OrderedDict[str, float] = OrderedDict()

    def seen(self, user_id: str) -> None:
        """Somebody asks."""
        self._last[user_id] = self._clock.monotonic()
        self._last.move_to_end(user_id)
        if len(self._last) > self._most:
            self._last.popitem(last=False)

    def counts(self) -> dict[str, int]:
        """How many there were in each window; who was here before the longest one is forgotten."""
        now = self._clock.monotonic()
        longest_s = max(WINDOWS_S.values())
        while self._last and now - next(iter(self._last.values())) > longest_s:
            self._last.popitem(last=False)
        counts = dict.fromkeys(WINDOWS_S, 0)
        for at in self._last.values():
            for window, length_s in WINDOWS_S.items():
                counts[window] += now - at <= length_s
        return counts

    def collect(self) -> Sequence[Metric]:
        """The same for Prometheus."""
        shown = GaugeMetricFamily(
            "ai_platform_active_users",
            f"People who asked for an answer in this time, exact up to {self._most}.",
            labels=["time_window"],
        )
        for window, count in self.counts().items():
            shown.add_metric([window], count)
        return (shown,)
