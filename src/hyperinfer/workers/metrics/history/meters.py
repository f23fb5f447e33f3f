"""What is counted of the history."""

from prometheus_client import CollectorRegistry, Counter


class Meters:
    """The history's meters."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.failures = Counter(
            "ai_platform_history_failures", "Times that the history could not be written.", registry=registry
        )
        self.lost = Counter("ai_platform_history_rows_lost", "Rows for which there was no room.", registry=registry)
