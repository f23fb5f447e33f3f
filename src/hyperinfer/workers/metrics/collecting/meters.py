"""What the metrics worker counts of its own collecting."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Gauge

from hyperinfer.errors import BY_CODE, RemoteError
from hyperinfer.facilities.metrics import Counters, Histograms

DURATIONS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
STATES = ("ready", "degraded", "draining", "lost", "never_seen")
REASONS = ("too_long", "too_many_samples", "no_room", "malformed")


class Meters:
    """The meters of collecting."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.rounds = Counters(
            "ai_platform_collect_rounds", "Rounds in which every worker was asked.", registry=registry
        ).labels()
        self.round_s = Histograms(
            "ai_platform_collect_round_duration_seconds",
            "From the first question of a round to its last answer.",
            registry=registry,
            buckets=DURATIONS_S,
        ).labels()
        self._workers = Gauge(
            "ai_platform_collect_workers", "Workers by how they were found.", ("state",), registry=registry
        )
        self.series = Gauge("ai_platform_collect_series", "Time series held of all workers.", registry=registry)
        self._failures = Counters(
            "ai_platform_collect_failures", "Workers that did not answer, by error.", ("code",), registry=registry
        )
        refused = Counters(
            "ai_platform_collect_refused",
            "What was not taken in: whole texts that are too long, have too many samples or found no room, and malformed lines.",
            ("reason",),
            registry=registry,
        )
        self.refused = {reason: refused.labels(reason) for reason in REASONS}

    def failed(self, code: str) -> None:
        """A worker did not answer."""
        self._failures.labels(code if code in BY_CODE else RemoteError.code).inc()

    def show_states(self, states: Sequence[str]) -> None:
        """These are the states of the workers now."""
        for state in STATES:
            self._workers.labels(state).set(states.count(state))
