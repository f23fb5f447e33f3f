"""What auth counts beside its calls, in Prometheus' terms."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge


class Meters:
    """How many passwords wait to be hashed."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._waiting = Gauge(
            "ai_platform_auth_passwords_waiting", "Passwords being hashed or waiting for it.", registry=registry
        )

    def show_waiting(self, waiting: Callable[[], int]) -> None:
        """Show how many passwords wait whenever somebody looks."""
        self._waiting.set_function(waiting)
