"""The parts of the body: alerts, workers and models, each as lines. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from hyperinfer.cli.bars import gauge
from hyperinfer.cli.live import words
from hyperinfer.cli.live.columns import Column, table
from hyperinfer.cli.live.text import Line, Piece, clean, fit, width

if TYPE_CHECKING:
    from hyperinfer.sdk import Alert, ModelFigures, SystemHealth, WorkerHealth

STATES = {"ready": "good", "degraded": "warn", "draining": "warn", "lost": "bad", "never_seen": "dim"}
SEVERITIES = {"critical": "bad", "warning": "warn", "info": "dim"}
OPEN = ("firing", "pending")
HERE = "here"
NOT_MADE, NOT_WANTED = "none", "not_tried"
SAME = '"'
"""Stands where a worker has what another one of its process shows: it is measured once."""
SLOW_S = 0.1
"""From which lag of its event loop on a process has too much to do."""
ROOMY_BAR = 8
INDENT = "  "


def alerts(health: "SystemHealth", room: int, now: datetime) -> list[Line]:
    """Those that are open, the worst first, each with what helps."""
    worst = {"critical": 0, "warning": 1, "info": 2}
    found = sorted(
        (alert for alert in health.alerts if alert.state in OPEN),
        key=lambda alert: (
            alert.silenced_until is not None,
            OPEN.index(alert.state),
            worst[alert.severity],
            alert.since,
        ),
    )
    lines: list[Line] = []
    for alert in found:
        lines += _alert(alert, room, now)
    return lines


def _alert(alert: "Alert", room: int, now: datetime) -> list[Line]:
    quiet = alert.silenced_until is not None or alert.state == "pending"
    style = "dim" if quiet else SEVERITIES[alert.severity]
    state = "silenced" if alert.silenced_until else "pending" if alert.state == "pending" else alert.severity
    head: Line = [(style, f"{state} "), ("dim" if quiet else "", clean(alert.summary))]
    age: Line = [("dim", f"  {words.ago(alert.since, now)}")]
    lines = [fit([*fit(head, room - width(age)), *age], room)]
    if not quiet and alert.do:
        lines.append(fit([("dim", INDENT + clean(alert.do))], room))
    return lines


def workers(found: "Sequence[WorkerHealth]", room: int, *, marked: str) -> list[Line]:
    """A line for each, below it why it is not well."""
    lines = table(_worker_columns(twins(found)), found, room, marked=marked)
    shown = lines[:1]
    for worker, line in zip(found, lines[1:], strict=True):
        shown.append(line)
        shown += [fit([("dim", INDENT + clean(reason))], room) for reason in worker.reasons]
    return shown


def _worker_columns(twins: frozenset[str]) -> "Sequence[Column[WorkerHealth]]":
    def of_process(worker: "WorkerHealth", text: str) -> Piece:
        return ("dim", SAME) if worker.key in twins else ("", text)

    return (
        Column("worker", lambda one: ("name", clean(one.name)), 0, right=False, flexible=True),
        Column("type", lambda one: ("dim", clean(one.wtype)), 6, right=False),
        Column("state", lambda one: (STATES.get(one.state, ""), clean(one.state).replace("_", " ")), 0, right=False),
        Column("req/s", lambda one: ("", words.rate(one.figures.requests_per_s)), 1),
        Column("errors", lambda one: (_failing(one.figures.error_rate), words.share(one.figures.error_rate)), 2),
        Column("latency", lambda one: ("", words.seconds(one.figures.latency_s)), 4),
        Column("p95", lambda one: ("", words.seconds(one.figures.latency_p95_s)), 10),
        Column("tok/s", lambda one: ("", words.rate(one.figures.tokens_per_s)), 8),
        Column("cpu", lambda one: of_process(one, words.cores(one.figures.cpu)), 3),
        Column("memory", lambda one: of_process(one, words.size(one.figures.memory_bytes)), 5),
        Column("lag", lambda one: (_lagging(one.figures.loop_lag_s), words.seconds(one.figures.loop_lag_s)), 12),
        Column("links", links_of, 7),
        Column("up", lambda one: ("dim", words.lasting(one.uptime_s)), 11),
        Column("version", lambda one: ("dim", clean(one.version)), 13),
    )


def twins(found: "Sequence[WorkerHealth]") -> frozenset[str]:
    """The workers above which another one of their process stands."""
    seen: set[str] = set()
    twins = set()
    for worker in found:
        if worker.process and worker.process in seen:
            twins.add(worker.key)
        seen.add(worker.process)
    return frozenset(twins)


def _failing(error_rate: float | None) -> str:
    return "bad" if error_rate and error_rate >= 0.05 else "warn" if error_rate else ""


def _lagging(lag_s: float | None) -> str:
    return "warn" if lag_s and lag_s >= SLOW_S else ""


def links_of(worker: "WorkerHealth") -> Piece:
    """How many of its connections are made, and of how many, where some are not."""
    others = [link for link in worker.links if link.how != HERE and link.reason != NOT_WANTED]
    made = sum(link.how != NOT_MADE for link in others)
    if not others:
        return ("dim", words.DASH)
    return ("", f"{made}") if made == len(others) else ("warn", f"{made}/{len(others)}")


def models(found: "Sequence[WorkerHealth]", room: int, *, plain: bool) -> list[Line]:
    """A line for each model at each worker."""
    rows = [(model, worker) for worker in found for model in worker.models]
    return table(_model_columns(plain=plain, bar=ROOMY_BAR if room >= 60 else 4), rows, room) if rows else []


def _model_columns(*, plain: bool, bar: int) -> "Sequence[Column[tuple[ModelFigures, WorkerHealth]]]":
    def slots(row: "tuple[ModelFigures, WorkerHealth]") -> Piece:
        model, _ = row
        full = model.busy >= model.slots
        if not model.slots:
            return ("dim", words.DASH)
        drawn = gauge(model.busy, model.slots, bar, plain=plain)
        return ("warn" if full else "good" if model.busy else "dim", f"{drawn} {model.busy}/{model.slots}")

    return (
        Column("model", lambda row: ("name", clean(row[0].name)), 0, right=False, flexible=True),
        Column("worker", lambda row: ("dim", clean(row[1].name)), 3, right=False, flexible=True),
        Column("state", lambda row: (_model_style(row[0].state), clean(row[0].state)), 4, right=False),
        Column("slots", slots, 0, right=False),
        Column("queued", lambda row: ("warn" if row[0].queued else "", words.count(row[0].queued)), 2),
        Column("tok/s", lambda row: ("", words.rate(row[0].tokens_per_s)), 1),
        Column("first token", lambda row: ("", words.seconds(row[0].first_token_s)), 5),
    )


def _model_style(state: str) -> str:
    return {"ready": "good", "broken": "bad", "failed": "bad", "loading": "warn"}.get(state, "dim")
