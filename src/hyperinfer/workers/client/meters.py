"""What the bridge counts beside the calls that it passes on, in Prometheus' terms."""

from prometheus_client import CollectorRegistry, Gauge


class Meters:
    """The bridge's meters."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._reached = Gauge("ai_platform_gateway_reached", "Whether there is a link to a gateway.", registry=registry)
        self._round_trip_s = Gauge(
            "ai_platform_gateway_round_trip_seconds",
            "To the gateway and back, when the link was made.",
            registry=registry,
        )

    def reached(self, round_trip_s: float) -> None:
        """A link has been made."""
        self._reached.set(1)
        self._round_trip_s.set(round_trip_s)

    def gone(self) -> None:
        """It has ended."""
        self._reached.set(0)
