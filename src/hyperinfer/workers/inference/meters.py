"""What an inference worker counts, in Prometheus' terms. Labels are models that it has and codes that we know."""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric

from hyperinfer.contracts.inference import Processed, WorkerStatus
from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.metrics import (
    DURATIONS_S,
    FIRST_TOKENS_S,
    STEPS_S,
    CappedLabels,
    Counters,
    Histograms,
)
from hyperinfer.workers.inference.times import Times

SERVICE = "inference"
MAX_MODELS = 100
STATES = ("ready", "idle", "loading", "away")
SPEEDS = (1, 2, 5, 10, 20, 30, 50, 75, 100, 150, 200, 500, 1000)
PREFIX = "ai_platform_inference"


class Meters:
    """The meters of a worker. A model gets labels of its own up to `MAX_MODELS`, then shares `other`; one that the worker has
    no longer is let go of after a while."""

    def __init__(self, registry: CollectorRegistry, clock: Clock) -> None:
        self.duration_s = Histograms(
            "ai_platform_request_duration_seconds",
            "From arrival to the end of an answer.",
            ("service", "model"),
            registry=registry,
            buckets=DURATIONS_S,
        )
        self.first_token_s = Histograms(
            f"{PREFIX}_first_token_seconds",
            "From arrival, waiting included, to the first token.",
            ("model",),
            registry=registry,
            buckets=FIRST_TOKENS_S,
        )
        self.tokens_per_s = Histograms(
            f"{PREFIX}_tokens_per_second",
            "Speed of an answer after its first token.",
            ("model",),
            registry=registry,
            buckets=SPEEDS,
        )
        self.per_token_s = Histograms(
            f"{PREFIX}_time_per_output_token_seconds",
            "From one token to the next, after the first one, on average over an answer.",
            ("model",),
            registry=registry,
            buckets=STEPS_S,
        )
        self.queued_s = Histograms(
            f"{PREFIX}_queue_seconds",
            "How long a slot was waited for.",
            ("model",),
            registry=registry,
            buckets=FIRST_TOKENS_S,
        )
        self.refused = Counters(
            f"{PREFIX}_refused",
            "Requests that got no slot: the queue was full, they would have been or were too late, another person needed the "
            "place, they had waited long enough, or the model has gone.",
            ("model", "reason"),
            registry=registry,
        )
        self.tokens = Counters(
            f"{PREFIX}_tokens", "Tokens by the backend's count.", ("model", "kind"), registry=registry
        )
        self.restarts = Counters(
            f"{PREFIX}_backend_restarts", "Engines started again.", ("backend",), registry=registry
        )
        of_models = (
            self.duration_s,
            self.first_token_s,
            self.tokens_per_s,
            self.per_token_s,
            self.queued_s,
            self.refused,
            self.tokens,
        )
        self.models = CappedLabels("model", of_models, self._model, registry=registry, clock=clock, most=MAX_MODELS)
        self._registry = registry

    def model(self, name: str) -> "ModelMeters":
        """The meters of a model that the worker has."""
        return self.models.of(name)

    def show(self, status: Callable[[], WorkerStatus]) -> None:
        """Show models, slots, queues and backends as they are whenever somebody looks."""
        self.models.there = lambda: {model.name for model in status().models}
        self._registry.register(Shown(status))

    def _model(self, label: str) -> "ModelMeters":
        return ModelMeters(self, label)


class ModelMeters:
    """The meters of one model, looked up once."""

    __slots__ = (
        "_label",
        "_refused",
        "completion_tokens",
        "duration_s",
        "first_token_s",
        "per_token_s",
        "prompt_tokens",
        "queued_s",
        "tokens_per_s",
    )

    def __init__(self, meters: Meters, label: str) -> None:
        self.duration_s = meters.duration_s.labels(SERVICE, label)
        self.first_token_s = meters.first_token_s.labels(label)
        self.tokens_per_s = meters.tokens_per_s.labels(label)
        self.per_token_s = meters.per_token_s.labels(label)
        self.queued_s = meters.queued_s.labels(label)
        self.prompt_tokens = meters.tokens.labels(label, "prompt")
        self.completion_tokens = meters.tokens.labels(label, "completion")
        self._refused = meters.refused
        self._label = label

    def answered(self, processed: Processed, times: Times, *, speed: float) -> None:
        """A request has been answered; `speed` is in tokens a second after the first one, 0 if there was no second."""
        self.first_token_s.observe(times.first_token_s)
        self.duration_s.observe(times.duration_s)
        self.prompt_tokens.inc(processed.usage.prompt_tokens)
        self.completion_tokens.inc(processed.usage.completion_tokens)
        if speed:
            self.tokens_per_s.observe(speed)
            self.per_token_s.observe(1 / speed)

    def refused(self, reason: str) -> None:
        """Count a request that got no slot, by why."""
        self._refused.labels(self._label, reason).inc()


class Shown:
    """Gauges read from the worker's status, so that they can never lag behind it."""

    def __init__(self, status: Callable[[], WorkerStatus]) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        """Slots, those taken, how many requests wait, and which models and backends there are."""
        status = self._status()
        slots = GaugeMetricFamily(f"{PREFIX}_slots", "Slots of a model.", labels=["model"])
        busy = GaugeMetricFamily(f"{PREFIX}_slots_busy", "Slots taken.", labels=["model"])
        queued = GaugeMetricFamily(f"{PREFIX}_queued", "Requests that wait for a slot.", labels=["model"])
        state_of = GaugeMetricFamily(f"{PREFIX}_model_state", "1 for the state of a model.", labels=["model", "state"])
        for model in status.models[:MAX_MODELS]:
            state_of.add_metric([model.name, model.state], 1)
            slots.add_metric([model.name], model.slots)
            busy.add_metric([model.name], model.busy)
            queued.add_metric([model.name], model.queued)
        models = GaugeMetricFamily(f"{PREFIX}_models", "Models by state.", labels=["state"])
        for state in STATES:
            models.add_metric([state], sum(model.state == state for model in status.models))
        up = GaugeMetricFamily(f"{PREFIX}_backend_up", "Whether a backend can be reached.", labels=["backend"])
        for backend in {backend.name: backend for backend in status.backends}.values():
            up.add_metric([backend.name], backend.available)
        yield from (state_of, slots, busy, queued, models, up)
