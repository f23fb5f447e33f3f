"""The health of the swarm as the client library shows it: workers, their figures and links, alerts, figures over time."""

from datetime import datetime
from typing import Literal, TypedDict

import msgspec

Severity = Literal["info", "warning", "critical"]
Level = Literal["debug", "info", "warning", "error"]


class PeerLink(msgspec.Struct, frozen=True, kw_only=True):
    """How one worker reaches another: `here` (in its own process), `direct`, `punched`, `relayed` or `none`; then `reason`
    is why not in a word, `trouble` in a sentence, and `do` what helps. `inbound` is one that the other has made."""

    key: str
    name: str
    roles: tuple[str, ...]
    how: str
    reason: str = ""
    trouble: str = ""
    since: datetime | None = None
    round_trip_s: float | None = None
    sent_bytes: int = 0
    received_bytes: int = 0
    inbound: bool = False
    do: str = ""
    next_try_s: float | None = None
    router: str = ""
    remote_router: str = ""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker does just now: rates over the last minute, latencies over the last five. What does not apply, or is not
    known yet, is null. `cpu` is in cores, `error_rate` the share of requests that failed by our fault. `answered` is 1 if the worker
    answered the last time, 0 if it did once and no longer does; over time it is the part of the time in which it answered."""

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


class ModelFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One model at one worker."""

    name: str
    state: str
    slots: int = 0
    busy: int = 0
    queued: int = 0
    tokens_per_s: float | None = None
    first_token_s: float | None = None


class WorkerHealth(msgspec.Struct, frozen=True, kw_only=True):
    """One worker of the swarm. `state` is `ready`, `degraded`, `draining`, `lost` (it answered once, and does not now) or
    `never_seen`; `reasons` are sentences, `seen_at` is when it last answered, `process` the same for workers of one process.
    Of its links there are 256 at most, fewer where there are many workers; `links_left_out` says how many more it has."""

    key: str
    name: str
    wtype: str
    state: str
    reasons: tuple[str, ...] = ()
    seen_at: datetime | None = None
    version: str = ""
    process: str = ""
    uptime_s: float | None = None
    figures: Figures = Figures()
    models: tuple[ModelFigures, ...] = ()
    links: tuple[PeerLink, ...] = ()
    links_left_out: int = 0


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is not well: `summary` says what, `do` what helps. `state` is `pending`, `firing` or `resolved`."""

    id: str
    rule: str
    severity: Severity
    state: Literal["pending", "firing", "resolved"]
    summary: str
    do: str
    labels: dict[str, str]
    value: float | None
    since: datetime
    resolved_at: datetime | None = None
    silenced_until: datetime | None = None


class AlertTried(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a test of the alerts at one receiver: why it was not told is in `error`, empty where it was."""

    receiver: str
    error: str = ""
    took_s: float = 0.0


class SystemHealth(msgspec.Struct, frozen=True, kw_only=True):
    """The swarm at a moment: `status` is `ok`, `warning` or `critical`, by the alerts that fire."""

    status: str
    at: datetime
    workers: tuple[WorkerHealth, ...] = ()
    alerts: tuple[Alert, ...] = ()


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of one worker (and model): a value for each step, null where nothing was collected."""

    figure: str
    worker: str
    model: str = ""
    values: tuple[float | None, ...] = ()


class History(msgspec.Struct, frozen=True, kw_only=True):
    """Figures over time; `start` is the first step's time in seconds since the epoch."""

    start: float
    step_s: int
    series: tuple[Series, ...] = ()


class HistoryQuery(TypedDict, total=False):
    """Which history: of one worker (a hex key), of one model, from when to when, in steps of how many seconds. Moments have a
    time zone."""

    worker: str | None
    model: str | None
    since: datetime | None
    until: datetime | None
    step_s: int | None


class LogQuery(TypedDict, total=False):
    """Which lines: of one request, one trace, one worker (its name), from a level on, within a time; of those that match the
    newest `limit`."""

    request_id: str | None
    trace_id: str | None
    worker: str | None
    level: Level | None
    since: datetime | None
    until: datetime | None
    limit: int | None
