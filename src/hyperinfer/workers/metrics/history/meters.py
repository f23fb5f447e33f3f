"""What is counted of the history."""

from prometheus_client import CollectorRegistry

from hyperinfer.facilities.metrics import Counters


class Meters:
    """The history's meters."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.failures = Counters(
            "ai_platform_history_failures", "Times that the history could not be written.", registry=registry
        ).labels()
        self.lost = Counters(
            "ai_platform_history_rows_lost", "Rows for which there was no room.", registry=registry
        ).labels()
