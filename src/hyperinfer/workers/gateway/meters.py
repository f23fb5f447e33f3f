"""What the gateway counts, in Prometheus' terms, with a bounded number of label values."""

from collections.abc import Callable, Sequence
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from hyperinfer.workers.gateway.journal import Journal

SERVICE = "gateway"
MAX_MODELS = 256
OTHER = "other"
WORKER_STATES = ("ready", "draining", "lost")
DURATIONS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class ModelMeters:
    """The meters of one model, looked up once."""

    __slots__ = ("completion_tokens", "duration_s", "first_token_s", "prompt_tokens")

    def __init__(self, meters: "Meters", model: str) -> None:
        self.duration_s = meters.duration_s.labels(SERVICE, model)
        self.first_token_s = meters.first_token_s.labels(model)
        self.prompt_tokens = meters.tokens.labels(model, "prompt")
        self.completion_tokens = meters.tokens.labels(model, "completion")


class Meters:
    """The gateway's meters. A model gets labels of its own up to `MAX_MODELS`, then shares `other`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.duration_s = Histogram(
            "ai_platform_request_duration_seconds",
            "From admission to the end of the answer.",
            ("service", "model"),
            registry=registry,
            buckets=DURATIONS_S,
        )
        self.first_token_s = Histogram(
            "ai_platform_first_token_seconds",
            "From admission to the first chunk of a streamed answer.",
            ("model",),
            registry=registry,
            buckets=DURATIONS_S,
        )
        self.tokens = Counter("ai_platform_tokens", "Tokens answered for.", ("model", "kind"), registry=registry)
        self.retries = Counter(
            "ai_platform_retries", "Requests given to a further worker, by why.", ("reason",), registry=registry
        )
        self.resumes = Counter(
            "ai_platform_resumes", "Answers gone on with by a further worker, by why.", ("reason",), registry=registry
        )
        self.workers = Gauge("ai_platform_workers", "Inference workers by state.", ("state",), registry=registry)
        self.usage_waiting = Gauge(
            "ai_platform_usage_waiting", "Requests whose usage auth has not taken in yet.", registry=registry
        )
        self.usage_stuck = Gauge(
            "ai_platform_usage_stuck",
            "1 while no request is served because none could be accounted.",
            registry=registry,
        )
        self._models: dict[str, ModelMeters] = {}

    def show_workers(self, states: Callable[[], Sequence[str]]) -> None:
        """Show how many workers are in each state whenever somebody looks."""
        for state in WORKER_STATES:
            self.workers.labels(state).set_function(partial(_count, states, state))

    def show_journal(self, journal: Journal) -> None:
        """Show how much usage waits for auth, and whether more can be written down."""
        self.usage_waiting.set_function(lambda: journal.waiting)
        self.usage_stuck.set_function(lambda: float(bool(journal.reasons)))

    def model(self, name: str) -> ModelMeters:
        """The meters of a model that a worker has."""
        found = self._models.get(name)
        if found is None:
            label = name if len(self._models) < MAX_MODELS else OTHER
            found = self._models.get(label) or ModelMeters(self, label)
            self._models[label] = found
        return found


def _count(states: Callable[[], Sequence[str]], state: str) -> int:
    return states().count(state)
