"""What the metrics worker counts of alerts."""

from collections import Counter as Tally
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily, Metric

from hyperinfer.contracts.metrics import Alert

OUTCOMES = ("sent", "failed", "dropped")
STATES = ("pending", "firing")
SEVERITIES = ("info", "warning", "critical")


class Meters:
    """The meters of alerts and of telling them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._notices = Counter(
            "ai_platform_alert_notices",
            "Notices by receiver and what became of them: sent, failed (not taken, however often), dropped (too many waited).",
            ("receiver", "outcome"),
            registry=registry,
        )

    def show_open(self, alerts: Callable[[], tuple[Alert, ...]]) -> None:
        """Show how many alerts are open whenever somebody looks."""
        self._registry.register(_Open(alerts))

    def of(self, receiver: str) -> None:
        """Show a receiver before anything has become of a notice to it."""
        for outcome in OUTCOMES:
            self._notices.labels(receiver, outcome)

    def count(self, receiver: str, outcome: str) -> None:
        """What became of one notice."""
        self._notices.labels(receiver, outcome).inc()


class _Open:
    def __init__(self, alerts: Callable[[], tuple[Alert, ...]]) -> None:
        self._alerts = alerts

    def collect(self) -> Iterator[Metric]:
        """How many there are of each severity and state."""
        metric = GaugeMetricFamily("ai_platform_alerts", "Alerts that are open.", labels=["severity", "state"])
        found: Tally[tuple[str, str]] = Tally((alert.severity, alert.state) for alert in self._alerts())
        for severity in SEVERITIES:
            for state in STATES:
                metric.add_metric([severity, state], found[(severity, state)])
        yield metric
