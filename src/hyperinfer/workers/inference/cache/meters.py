"""What the response cache counts, in Prometheus' terms."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge

from hyperinfer.facilities.metrics import Counters


class CacheMeters:
    """Of requests that were looked up: `hit` or `miss`. Of entries: why they were given up. `skipped` counts what could
    not be kept, `too_long` or `busy` (Redis was), `failures` what Redis did not do."""

    def __init__(self, registry: CollectorRegistry) -> None:
        name = "ai_platform_inference_cache"
        lookups = Counters(f"{name}_lookups", "Requests looked up in the cache.", ("result",), registry=registry)
        self.hit = lookups.labels("hit")
        self.miss = lookups.labels("miss")
        self.failures = Counters(f"{name}_failures", "What Redis did not do for the cache.", registry=registry).labels()
        self._evictions = Counters(f"{name}_evictions", "Answers given up, by why.", ("reason",), registry=registry)
        self._skipped = Counters(f"{name}_skipped", "Answers not kept, by why.", ("reason",), registry=registry)
        self._bytes = Gauge(f"{name}_bytes", "Memory that kept answers take.", registry=registry)
        self._entries = Gauge(f"{name}_entries", "Answers kept in memory.", registry=registry)

    def evicted(self, reason: str) -> None:
        """An entry was given up: `room`, or it was `old`."""
        self._evictions.labels(reason).inc()

    def skipped(self, reason: str) -> None:
        """An answer was not kept."""
        self._skipped.labels(reason).inc()

    def show_size(self, size_bytes: Callable[[], float], entries: Callable[[], float]) -> None:
        """Show how much is kept whenever somebody looks."""
        self._bytes.set_function(size_bytes)
        self._entries.set_function(entries)
