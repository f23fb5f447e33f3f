"""What the metrics worker tells: the health of the swarm, figures over time, alerts; and what it is told."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta

from hyperinfer.contracts.acting import GATEWAYS
from hyperinfer.contracts.common import PeerLink
from hyperinfer.contracts.logs import GATHER_LOGS
from hyperinfer.contracts.method import ADMIN, ANY_MEMBER, Method, Nothing, Reply, Request, Wire

MAX_LABELS = 8
MAX_POINTS = 2000

Name = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]
LabelText = Annotated[str, Meta(max_length=100)]
Severity = Literal["info", "warning", "critical"]


class RecordMetric(Wire, frozen=True):
    """A figure of somebody's own: `counter` adds `value`, `gauge` sets it, `histogram` observes it. It is shown as
    `ai_platform_custom_<name>`."""

    name: Name
    value: float
    kind: Literal["counter", "gauge", "histogram"] = "gauge"
    labels: Annotated[dict[Name, LabelText], Meta(max_length=MAX_LABELS)] = {}


class Figures(Wire, frozen=True, omit_defaults=False):
    """What a worker does just now; rates are means over the last minute, latencies over the last five. What does not apply, or is
    not known yet, is none. `cpu` is in cores, `error_rate` the share of requests that failed by our fault. `answered` is 1 if the worker answered
    the last time, 0 if it did once and no longer does; over time it is the part of the time in which it answered."""

    requests_per_s: float | None = None
    error_rate: float | None = None
    latency_s: float | None = None
    latency_p95_s: float | None = None
    first_token_s: float | None = None
    tokens_per_s: float | None = None
    in_flight: int | None = None
    queued: int | None = None
    slots: int | None = None
    busy: int | None = None
    cpu: float | None = None
    memory_bytes: int | None = None
    open_files: int | None = None
    loop_lag_s: float | None = None
    round_trip_s: float | None = None
    answered: int | None = None


class ModelFigures(Wire, frozen=True, omit_defaults=False):
    """One model at one worker."""

    name: str
    state: str
    slots: int = 0
    busy: int = 0
    queued: int = 0
    tokens_per_s: float | None = None
    first_token_s: float | None = None


class WorkerHealth(Wire, frozen=True, omit_defaults=False):
    """One worker of the swarm. `key` is hex, `name` as the member list has it, `process` the same for workers of one process.

    `state` is `ready`, `degraded`, `draining`, `lost` (it answered once, and does not now) or `never_seen`; `reasons` are sentences.
    `seen_at` is when it last answered (RFC 3339). `links` are its connections to other workers, and members that it has none to;
    above 256, or fewer where there are many workers, `links_left_out` says how many more there are.
    """

    key: str
    name: str
    wtype: str
    state: str
    reasons: tuple[str, ...] = ()
    seen_at: str | None = None
    version: str = ""
    process: str = ""
    uptime_s: float | None = None
    figures: Figures = Figures()
    models: tuple[ModelFigures, ...] = ()
    links: tuple[PeerLink, ...] = ()
    links_left_out: int = 0


class Alert(Wire, frozen=True, omit_defaults=False):
    """Something that is not well. `state` is `pending` (not yet for as long as its rule demands), `firing` or `resolved`.

    `id` names it for as long as it lasts; `rule` and `labels` say what, `summary` says it in a sentence, `do` what helps. Times are
    RFC 3339.
    """

    id: str
    rule: str
    severity: Severity
    state: Literal["pending", "firing", "resolved"]
    summary: str
    do: str
    labels: Mapping[str, str]
    value: float | None
    since: str
    resolved_at: str | None = None
    silenced_until: str | None = None


class SystemHealth(Wire, frozen=True, omit_defaults=False):
    """The swarm at a moment: `status` is `ok`, `warning` or `critical`, by the alerts that fire."""

    status: str
    at: str
    workers: tuple[WorkerHealth, ...] = ()
    alerts: tuple[Alert, ...] = ()


class HistoryQuery(Wire, frozen=True):
    """Figures over time: those named (fields of `Figures`), of one worker (a hex key) or of each, of one model or of all together.

    Times are RFC 3339; `step_s` is at least as long as the store keeps for that age.
    """

    figures: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=20)]
    worker: Annotated[str, Meta(max_length=64)] | None = None
    model: Annotated[str, Meta(max_length=200)] | None = None
    since: Annotated[str, Meta(max_length=40)] | None = None
    until: Annotated[str, Meta(max_length=40)] | None = None
    step_s: Annotated[int, Meta(ge=1, le=86400)] | None = None


class Series(Wire, frozen=True, omit_defaults=False):
    """One figure of one worker (and model): a value for each step, none where nothing was collected."""

    figure: str
    worker: str
    model: str = ""
    values: tuple[float | None, ...] = ()


class History(Wire, frozen=True, omit_defaults=False):
    """`start` is the first step's time in seconds since the epoch."""

    start: float
    step_s: int
    series: tuple[Series, ...] = ()


class AlertQuery(Wire, frozen=True):
    """Alerts that are open, and with `past` those that were resolved lately too; newest first."""

    past: bool = False


class Alerts(Wire, frozen=True, omit_defaults=False):
    """Alerts."""

    alerts: tuple[Alert, ...] = ()


class SilenceAlert(Wire, frozen=True):
    """Tell nobody of an alert for a time; 0 ends that."""

    id: Annotated[str, Meta(max_length=100)]
    minutes: Annotated[int, Meta(ge=0, le=7 * 24 * 60)] = 60


class AlertTried(Wire, frozen=True, omit_defaults=False):
    """What came of a test at one receiver: its name in the settings, or `mail`, and why it was not told, empty where it was."""

    receiver: str
    error: str = ""
    took_s: float = 0.0


class AlertsTried(Wire, frozen=True, omit_defaults=False):
    """Every receiver; none where nobody is told of alerts."""

    receivers: tuple[AlertTried, ...] = ()


RECORD_METRIC = Method("recordMetric", RecordMetric, Nothing, ANY_MEMBER, quiet=True)
GET_SYSTEM_HEALTH = Method("getSystemHealth", Nothing, SystemHealth, ADMIN, quiet=True)
WATCH_SYSTEM = Method("watchSystem", Nothing, Nothing, ADMIN, streams=True, quiet=True)
"""Chunks are `SystemHealth`: now, and then after every collection."""
GET_HISTORY = Method("getMetricHistory", HistoryQuery, History, ADMIN, quiet=True)
LIST_ALERTS = Method("listAlerts", AlertQuery, Alerts, ADMIN)
SILENCE_ALERT = Method("silenceAlert", SilenceAlert, Alert, ADMIN)
TEST_ALERTS = Method("testAlerts", Nothing, AlertsTried, ADMIN)
"""Tells every receiver of an alert that means nothing, and of its end."""

PASSED_ON: tuple[Method[Any, Any], ...] = (
    GET_SYSTEM_HEALTH,
    WATCH_SYSTEM,
    GET_HISTORY,
    LIST_ALERTS,
    SILENCE_ALERT,
    TEST_ALERTS,
    GATHER_LOGS,
)
"""What a gateway passes on to the metrics worker for administrators."""


def at_metrics(method: Method[Request, Reply]) -> Method[Request, Reply]:
    """The method of the metrics worker behind an administrator's method of the gateway: the same, asked by gateways, which have
    made sure who asks."""
    return Method(method.name, method.request, method.reply, GATEWAYS, streams=method.streams, quiet=method.quiet)
