"""What each rule of alerts is made for, as time series: well for a while, then not, then well again. Prometheus is shown the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

STEP_S = 15
WELL_S = 600
"""How long all is well at the beginning."""

Way = tuple[float | None, float | None]
"""While all is well, and while it is not: the value of a gauge, or by how much a counter grows each step. None is nothing."""


@dataclass(frozen=True, slots=True)
class Series:
    """A series that one worker shows. `gone` is what has no such series."""

    text: str
    way: Way
    grows: bool = False

    def values(self, well: int, ill: int, after: int) -> list[float | None]:
        """One value for each step."""
        before, meanwhile = self.way
        steps = [before] * well + [meanwhile] * ill + [before] * after
        if not self.grows:
            return steps
        total, found = 0.0, list[float | None]()
        for step in steps:
            total += step or 0.0
            found.append(total)
        return found


@dataclass(frozen=True, slots=True)
class Scenario:
    """A rule, what shows it, and the one case that comes of it: its labels and its value at the end of the time that is not well.

    `is_lost` says that the worker does not answer then.
    """

    rule: str
    series: Sequence[Series]
    value: float
    labels: Mapping[str, str] = field(default_factory=lambda: {"worker": "home"})
    wtype: str = "gateway"
    is_lost: bool = False


def gauge(text: str, well: float | None, ill: float | None) -> Series:
    """A gauge that has one value while all is well, and another while it is not."""
    return Series(text, (well, ill))


def counter(text: str, well: float, ill: float) -> Series:
    """A counter that grows by so much in each step."""
    return Series(text, (well, ill), grows=True)


ENDED = 'ai_platform_requests_total{service="gateway",method="processInferenceRequest",status="%s"}'
QUIET = 'ai_platform_requests_total{service="gateway",method="getServiceHealth",status="%s"}'
DURATION = 'ai_platform_request_duration_seconds_%s{service="gateway",model="m"}'
DAY_S = 24 * 3600.0
GIB = 2.0**30

SCENARIOS = (
    Scenario(
        "error_rate",
        (
            counter(ENDED % "ok", 20, 15),
            counter(ENDED % "BACKEND_FAILED", 0, 5),
            counter(ENDED % "BAD_REQUEST", 20, 20),
            counter(QUIET % "UNAVAILABLE", 50, 50),
        ),
        value=5 / 40,
    ),
    Scenario("latency", (counter(DURATION % "sum", 8, 48), counter(DURATION % "count", 4, 4)), value=12.0),
    Scenario(
        "queue",
        (
            gauge('ai_platform_inference_queued{model="m"}', 50, 100),
            gauge('ai_platform_inference_queued{model="n"}', 50, 50),
        ),
        value=150,
        wtype="inference",
    ),
    Scenario(
        "refusals",
        (counter('ai_platform_inference_refused_total{model="m",reason="full"}', 1, 20),),
        value=400,
        wtype="inference",
    ),
    Scenario(
        "rate_limits",
        (
            counter(
                'ai_platform_rate_limit_violations_total{limit="requests_per_minute",scope="user",tier="default"}',
                1,
                30,
            ),
        ),
        value=600,
    ),
    Scenario(
        "worker_lost",
        (gauge("ai_platform_worker_up", 1, 0),),
        value=0,
        labels={"worker": "home", "wtype": "inference"},
        wtype="inference",
        is_lost=True,
    ),
    Scenario("no_workers", (gauge('ai_platform_workers{state="ready"}', 2, 0),), value=0),
    Scenario(
        "model_gone",
        (gauge(DURATION % "count", 7, 7), gauge('ai_platform_inference_slots{model="m"}', 2, None)),
        value=1,
        labels={"model": "m"},
    ),
    Scenario(
        "backend_down",
        (
            gauge('ai_platform_inference_backend_up{backend="ollama"}', 1, 0),
            gauge('ai_platform_inference_backend_up{backend="llamacpp"}', 1, 1),
        ),
        value=0,
        labels={"worker": "home", "backend": "ollama"},
        wtype="inference",
    ),
    Scenario(
        "backend_restarts",
        (counter('ai_platform_inference_backend_restarts_total{backend="llamacpp"}', 0, 1),),
        value=60,
        wtype="inference",
    ),
    Scenario(
        "breaker_open",
        (gauge('ai_platform_breaker_open{peer="gpu",model="m"}', 0, 1),),
        value=1,
        labels={"worker": "home", "peer": "gpu", "model": "m"},
    ),
    Scenario(
        "cpu",
        (
            counter("process_cpu_seconds_total", 1, 15),
            counter('ai_platform_child_cpu_seconds_total{program="driver"}', 0, 1),
            counter('ai_platform_child_cpu_seconds_total{program="engine"}', 0, 38),
            gauge("ai_platform_host_cpus", 4, 4),
        ),
        value=0.9,
        wtype="inference",
    ),
    Scenario("loop_lag", (gauge("ai_platform_event_loop_lag_seconds", 0.002, 0.75),), value=0.75),
    Scenario(
        "memory",
        (
            gauge("ai_platform_host_memory_available_bytes", 8 * GIB, GIB / 2),
            gauge("ai_platform_host_memory_bytes", 16 * GIB, 16 * GIB),
        ),
        value=1 / 32,
    ),
    Scenario(
        "disk",
        (
            gauge("ai_platform_disk_free_bytes", 50 * GIB, 2 * GIB),
            gauge("ai_platform_disk_size_bytes", 100 * GIB, 100 * GIB),
        ),
        value=0.02,
    ),
    Scenario(
        "open_files", (gauge("process_open_fds", 60, 1000), gauge("process_max_fds", 1024, 1024)), value=1000 / 1024
    ),
    Scenario("database_down", (gauge("ai_platform_database_up", 1, 0),), value=0, wtype="auth"),
    Scenario("usage_late", (gauge("ai_platform_usage_oldest_seconds", 1, 4000),), value=4000),
    Scenario("usage_waiting", (gauge("ai_platform_usage_waiting", 3, 12_345),), value=12_345),
    Scenario("usage_stuck", (gauge("ai_platform_usage_stuck", 0, 1),), value=1),
    Scenario("limits_degraded", (gauge("ai_platform_limits_degraded", 0, 1),), value=1),
    Scenario(
        "certificate_expires",
        (gauge("ai_platform_tls_certificate_expires_in_seconds", 60 * DAY_S, 13.5 * DAY_S),),
        value=13.5 * DAY_S,
    ),
    Scenario(
        "certificate_expires_soon",
        (gauge("ai_platform_tls_certificate_expires_in_seconds", 10 * DAY_S, 2 * DAY_S + 61),),
        value=2 * DAY_S + 61,
    ),
    Scenario(
        "signing_key_expires",
        (gauge("ai_platform_signing_key_expires_in_seconds", 20 * DAY_S, -90),),
        value=-90,
        wtype="auth",
    ),
    Scenario("driver_restarts", (counter("ai_platform_net_driver_restarts_total", 0, 1),), value=60),
    Scenario("swarm_offline", (gauge("ai_platform_net_online", 1, 0),), value=0),
    Scenario(
        "metrics_refused",
        (counter('ai_platform_collect_refused_total{reason="too_long"}', 0, 1),),
        value=60,
        wtype="metrics",
    ),
)
"""One for each rule."""


@dataclass(frozen=True, slots=True)
class Course:
    """When a scenario is not well, and until when it is looked at, in seconds from its beginning; all are whole steps."""

    ill_at: int
    well_at: int
    ends_at: int

    @property
    def steps(self) -> tuple[int, int, int]:
        """How many samples are taken in each part."""
        return self.ill_at // STEP_S, (self.well_at - self.ill_at) // STEP_S, (self.ends_at - self.well_at) // STEP_S


def course(hold_s: float, resolve_s: float, window_s: float) -> Course:
    """Long enough for a rule to fire, to show its value, and to be resolved."""
    well_at = WELL_S + _steps(hold_s + window_s) + 8 * STEP_S
    return Course(WELL_S, well_at, well_at + _steps(resolve_s + window_s) + 8 * STEP_S)


def _steps(seconds: float) -> int:
    return -(-int(seconds) // STEP_S) * STEP_S
