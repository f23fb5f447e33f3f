"""What the metrics worker answers about alerts. It is asked by gateways, which have made sure who wants to know."""

from collections.abc import Sequence

from hyperinfer.contracts.method import Nothing
from hyperinfer.contracts.metrics import (
    LIST_ALERTS,
    SILENCE_ALERT,
    TEST_ALERTS,
    Alert,
    AlertQuery,
    AlertsTried,
    SilenceAlert,
    at_metrics,
)
from hyperinfer.contracts.metrics import Alerts as Listed
from hyperinfer.kernel.calls import Call, Route, route
from hyperinfer.workers.metrics.alerts.evaluating import Alerts


class AlertMethods:
    """Its methods."""

    def __init__(self, alerts: Alerts) -> None:
        self._alerts = alerts

    def routes(self) -> Sequence[Route]:
        """All of them."""
        return (
            route(at_metrics(LIST_ALERTS), self.list),
            route(at_metrics(SILENCE_ALERT), self.silence),
            route(at_metrics(TEST_ALERTS), self.test),
        )

    async def list(self, request: AlertQuery, call: Call) -> Listed:
        """What is open, and on request what was resolved lately."""
        return Listed((*self._alerts.open(), *(self._alerts.past() if request.past else ())))

    async def silence(self, request: SilenceAlert, call: Call) -> Alert:
        """Tell nobody of an alert for a time."""
        return self._alerts.silence(request.id, request.minutes)

    async def test(self, request: Nothing, call: Call) -> AlertsTried:
        """Tell every receiver of an alert that means nothing."""
        return AlertsTried(await self._alerts.trial.run())
