"""What an inference worker counts, in Prometheus' terms. Labels are models that it has and codes that we know."""

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric

from hyperinfer.contracts.inference import ModelStatus

SERVICE = "inference"
MAX_MODELS = 256
OTHER = "other"
DURATIONS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
STEPS_S = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.5, 1, 2.5)
SPEEDS = (1, 2, 5, 10, 20, 30, 50, 75, 100, 150, 200, 500, 1000)


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

    def __init__(self, meters: "Meters", label: str) -> None:
        self.duration_s = meters.duration_s.labels(SERVICE, label)
        self.first_token_s = meters.first_token_s.labels(label)
        self.tokens_per_s = meters.tokens_per_s.labels(label)
        self.per_token_s = meters.per_token_s.labels(label)
        self.queued_s = meters.queued_s.labels(label)
        self.prompt_tokens = meters.tokens.labels(label, "prompt")
        self.completion_tokens = meters.tokens.labels(label, "completion")
        self._refused = meters.refused
        self._label = label

    def refused(self, reason: str) -> None:
        """Count a request that got no slot, by why."""
        self._refused.labels(self._label, reason).inc()


class Meters:
    """The meters of a worker. A model gets labels of its own up to `MAX_MODELS`, then shares `other`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.duration_s = Histogram(
            "ai_platform_request_duration_seconds",
            "From arrival to the end of the answer.",
            ("service", "model"),
            registry=registry,
            buckets=DURATIONS_S,
        )
        self.first_token_s = Histogram(
            "ai_platform_inference_first_token_seconds",
            "From arrival, waiting included, to the first token.",
            ("model",),
            registry=registry,
            buckets=DURATIONS_S,
        )
        self.tokens_per_s = Histogram(
            "ai_platform_inference_tokens_per_second",
            "Speed of one answer after its first token.",
            ("model",),
            registry=registry,
            buckets=SPEEDS,
        )
        self.per_token_s = Histogram(
            "ai_platform_inference_time_per_output_token_seconds",
            "From one token to the next, after the first one, on average over an answer.",
            ("model",),
            registry=registry,
            buckets=STEPS_S,
        )
        self.queued_s = Histogram(
            "ai_platform_inference_queue_seconds",
            "How long a slot was waited for.",
            ("model",),
            registry=registry,
            buckets=DURATIONS_S,
        )
        self.refused = Counter(
            "ai_platform_inference_refused",
            "Requests that got no slot, by why.",
            ("model", "reason"),
            registry=registry,
        )
        self.tokens = Counter(
            "ai_platform_inference_tokens", "Tokens by the backend's count.", ("model", "kind"), registry=registry
        )
        self.restarts = Counter(
            "ai_platform_inference_backend_restarts", "Engines started again.", ("backend",), registry=registry
        )
        self._registry = registry
        self._models: dict[str, ModelMeters] = {}

    def model(self, name: str) -> ModelMeters:
        """The meters of a model that the worker has."""
        found = self._models.get(name)
        if found is None:
            label = name if len(self._models) < MAX_MODELS else OTHER
            found = self._models.get(label) or ModelMeters(self, label)
            self._models[label] = found
        return found

    def show_load(self, statuses: Callable[[], Iterable[ModelStatus]]) -> None:
        """Show slots and queues as they are whenever somebody looks."""
        self._registry.register(Load(statuses))


class Load:
    """Gauges read from the models' status, so that they can never lag behind it."""

    def __init__(self, statuses: Callable[[], Iterable[ModelStatus]]) -> None:
        self._statuses = statuses

    def collect(self) -> Iterator[Metric]:
        """Slots, those taken, and how many requests wait."""
        slots = GaugeMetricFamily("ai_platform_inference_slots", "Slots of a model.", labels=["model"])
        busy = GaugeMetricFamily("ai_platform_inference_slots_busy", "Slots taken.", labels=["model"])
        queued = GaugeMetricFamily("ai_platform_inference_queued", "Requests that wait for a slot.", labels=["model"])
        for status in list(self._statuses())[:MAX_MODELS]:
            slots.add_metric([status.name], status.slots)
            busy.add_metric([status.name], status.busy)
            queued.add_metric([status.name], status.queued)
        yield from (slots, busy, queued)
