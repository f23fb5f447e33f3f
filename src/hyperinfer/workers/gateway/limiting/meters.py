"""What is shown of a limiter to Prometheus."""

from prometheus_client import CollectorRegistry, Gauge

from hyperinfer.workers.gateway.limiting.port import Limiter


def show_limiter(limiter: Limiter, registry: CollectorRegistry) -> None:
    """Show whether limits are counted as configured."""
    degraded = Gauge(
        "ai_platform_limits_degraded",
        "1 while limits that gateways should count together are counted by each for its share.",
        registry=registry,
    )
    degraded.set_function(lambda: float(limiter.degraded is not None))
