"""What the metrics worker answers, beside what every worker does."""

from collections.abc import Sequence

from hyperinfer.contracts.method import Nothing
from hyperinfer.contracts.metrics import (
    GET_HISTORY,
    GET_SYSTEM_HEALTH,
    RECORD_METRIC,
    WATCH_SYSTEM,
    HistoryQuery,
    RecordMetric,
    SystemHealth,
    at_metrics,
)
from hyperinfer.contracts.metrics import History as Figures
from hyperinfer.kernel.calls import Call, Route, route
from hyperinfer.workers.metrics.custom import CustomMetrics
from hyperinfer.workers.metrics.history.history import History
from hyperinfer.workers.metrics.service import SystemFeed


class MetricsMethods:
    """Its methods. What administrators ask comes by gateways, which have made sure who they are."""

    def __init__(self, feed: SystemFeed, custom: CustomMetrics, history: History) -> None:
        self._feed = feed
        self._custom = custom
        self._history = history

    def routes(self) -> Sequence[Route]:
        """All of them."""
        return (
            route(at_metrics(GET_SYSTEM_HEALTH), self.system_health),
            route(at_metrics(WATCH_SYSTEM), self.watch_system),
            route(at_metrics(GET_HISTORY), self.history),
            route(RECORD_METRIC, self.record),
        )

    async def system_health(self, request: Nothing, call: Call) -> SystemHealth:
        """The swarm at the last collection."""
        return self._feed.now()

    async def watch_system(self, request: Nothing, call: Call) -> Nothing:
        """The same, and then after every collection."""
        await self._feed.watch(call.stream)
        return Nothing()

    async def history(self, request: HistoryQuery, call: Call) -> Figures:
        """Figures over time."""
        return await self._history.ask(request)

    async def record(self, request: RecordMetric, call: Call) -> Nothing:
        """Take a figure of somebody's own."""
        self._custom.record(request, call.caller)
        return Nothing()
