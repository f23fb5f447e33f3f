"""What the gateway counts of requests, in Prometheus' terms, with a bounded number of label values."""

from prometheus_client import CollectorRegistry

from hyperinfer.contracts.auth import Principal
from hyperinfer.contracts.inference import Processed
from hyperinfer.contracts.usage import UsageRecord
from hyperinfer.errors import RateLimited
from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.metrics import (
    DURATIONS_S,
    FIRST_TOKENS_S,
    STEPS_S,
    CappedLabels,
    Counters,
    Histograms,
)
from hyperinfer.workers.gateway.active_users import ActiveUsers
from hyperinfer.workers.gateway.config import MeterSettings
from hyperinfer.workers.gateway.progress import Progress

SERVICE = "gateway"
MAX_TIERS = 32
NO_KEY = "session"
"""Stands for the key of who asks without one."""


class Meters:
    """The gateway's meters. What they are about is let go of some time after it has gone."""

    def __init__(self, registry: CollectorRegistry, clock: Clock, settings: MeterSettings) -> None:
        self.duration_s = Histograms(
            "ai_platform_request_duration_seconds",
            "From admission to the end of an answer.",
            ("service", "model"),
            registry=registry,
            buckets=DURATIONS_S,
        )
        self.first_token_s = Histograms(
            "ai_platform_first_token_seconds",
            "From admission to the first piece of a streamed answer.",
            ("model",),
            registry=registry,
            buckets=FIRST_TOKENS_S,
        )
        self.per_token_s = Histograms(
            "ai_platform_time_per_output_token_seconds",
            "From one token to the next, on average over a streamed answer.",
            ("model",),
            registry=registry,
            buckets=STEPS_S,
        )
        self.queued_s = Histograms(
            "ai_platform_queue_seconds",
            "How long an answer's worker let it wait for a slot.",
            ("model",),
            registry=registry,
            buckets=FIRST_TOKENS_S,
        )
        self.tokens = Counters(
            "ai_platform_tokens",
            "Tokens that requests have used, those of cut answers included.",
            ("model", "kind"),
            registry=registry,
        )
        self.retries = Counters(
            "ai_platform_retries", "Requests given to a further worker, by why.", ("reason",), registry=registry
        )
        self.resumes = Counters(
            "ai_platform_resumes", "Answers gone on with by a further worker, by why.", ("reason",), registry=registry
        )
        self.violations = Counters(
            "ai_platform_rate_limit_violations",
            "Requests refused for a limit of their person (user) or API key (key).",
            ("limit", "scope", "tier"),
            registry=registry,
        )
        self._active = ActiveUsers(clock)
        registry.register(self._active)
        of_models = (self.duration_s, self.first_token_s, self.per_token_s, self.queued_s, self.tokens)
        self.models = CappedLabels("model", of_models, self._model, registry=registry, clock=clock)
        self._tiers = CappedLabels(
            "tier", (self.violations,), self._tier, registry=registry, clock=clock, most=MAX_TIERS
        )
        self._users = _of_each("user", registry, clock, settings.max_labels) if settings.per_user else None
        self._keys = _of_each("key", registry, clock, settings.max_labels) if settings.per_key else None

    def admitted(self, who: Principal) -> None:
        """A request has been let in."""
        self._active.seen(who.user_id)
        if self._users is not None:
            self._users.of(who.user_id).requests.inc()
        if self._keys is not None:
            self._keys.of(who.key_id or NO_KEY).requests.inc()

    def limited(self, who: Principal, error: RateLimited) -> None:
        """A request has been refused for a limit."""
        self._tiers.of(who.tier).count(str(error.details.get("rule", "")), str(error.details.get("scope", "")))

    def answered(self, model: str, progress: Progress, processed: Processed) -> None:
        """A request has been answered to its end."""
        meters, took_s, first_s = self.models.of(model), progress.duration_s, progress.first_token_s
        meters.duration_s.observe(took_s)
        if first_s is not None:
            meters.first_token_s.observe(first_s)
        if processed.cache == "hit":  # nothing was waited for, and nothing generated
            return
        meters.queued_s.observe(processed.queued_s)
        later = processed.usage.completion_tokens - 1
        if first_s is not None and later > 0:
            meters.per_token_s.observe((took_s - first_s) / later)

    def used(self, who: Principal, record: UsageRecord) -> None:
        """A request has ended, however it did: its tokens are counted as they are accounted for."""
        if not (record.prompt_tokens or record.completion_tokens):
            return
        self.models.of(record.model).tokens.add(record)
        if self._users is not None:
            self._users.of(who.user_id).tokens.add(record)
        if self._keys is not None:
            self._keys.of(who.key_id or NO_KEY).tokens.add(record)

    def _model(self, label: str) -> "ModelMeters":
        return ModelMeters(self, label)

    def _tier(self, label: str) -> "TierMeters":
        return TierMeters(self.violations, label)


class Tokens:
    """Tokens of one model, person or key, by kind."""

    __slots__ = ("completion", "prompt")

    def __init__(self, family: Counters, label: str) -> None:
        self.prompt = family.labels(label, "prompt")
        self.completion = family.labels(label, "completion")

    def add(self, record: UsageRecord) -> None:
        """Those of one more request."""
        self.prompt.inc(record.prompt_tokens)
        self.completion.inc(record.completion_tokens)


class ModelMeters:
    """The meters of one model, looked up once."""

    __slots__ = ("duration_s", "first_token_s", "per_token_s", "queued_s", "tokens")

    def __init__(self, meters: Meters, label: str) -> None:
        self.duration_s = meters.duration_s.labels(SERVICE, label)
        self.first_token_s = meters.first_token_s.labels(label)
        self.per_token_s = meters.per_token_s.labels(label)
        self.queued_s = meters.queued_s.labels(label)
        self.tokens = Tokens(meters.tokens, label)


class TierMeters:
    """What has been refused to the people of one tier."""

    __slots__ = ("_family", "_tier")

    def __init__(self, family: Counters, tier: str) -> None:
        self._family = family
        self._tier = tier

    def count(self, limit: str, scope: str) -> None:
        """One more."""
        self._family.labels(limit, scope, self._tier).inc()


class PersonMeters:
    """The meters of one person, or of one API key, by id."""

    __slots__ = ("requests", "tokens")

    def __init__(self, requests: Counters, tokens: Counters, label: str) -> None:
        self.requests = requests.labels(label)
        self.tokens = Tokens(tokens, label)


def _of_each(what: str, registry: CollectorRegistry, clock: Clock, most: int) -> CappedLabels[PersonMeters]:
    """The meters of each `user` or `key`."""
    requests = Counters(
        f"ai_platform_{what}_requests",
        f"Requests let in, by {what}; off unless gateway.metrics.per_{what} is set.",
        (what,),
        registry=registry,
    )
    tokens = Counters(
        f"ai_platform_{what}_tokens",
        f"Tokens that requests have used, by {what}; off unless the same is set.",
        (what, "kind"),
        registry=registry,
    )

    def make(label: str) -> PersonMeters:
        return PersonMeters(requests, tokens, label)

    return CappedLabels(what, (requests, tokens), make, registry=registry, clock=clock, most=most)
