"""The same once, as plain tables: for a log, a mail or a terminal that cannot be drawn on."""

from typing import TYPE_CHECKING

from hyperinfer.cli.live import words
from hyperinfer.cli.live.sections import OPEN, SAME, links_of, twins
from hyperinfer.cli.live.text import clean
from hyperinfer.cli.live.totals import totals
from hyperinfer.cli.manner import say
from hyperinfer.cli.table import show_facts, show_table, wrapped

if TYPE_CHECKING:
    from hyperinfer.sdk import SystemHealth, WorkerHealth

WORKER_TITLES = ("worker", "type", "state", "req/s", "errors", "latency", "tok/s", "cpu", "memory", "links")
WORKER_SPARE = ("links", "type", "memory", "tok/s", "latency", "cpu", "errors")
MODEL_TITLES = ("model", "worker", "state", "slots", "queued", "tok/s", "first token")
MODEL_SPARE = ("first token", "state", "tok/s", "queued")


def show(place: str, health: "SystemHealth") -> None:
    """Print it."""
    sums = totals(health)
    errors = "" if sums.error_rate is None else f", {words.share(sums.error_rate)} errors"
    slots = "" if sums.slots is None else f"{sums.busy or 0} of {sums.slots} busy"
    show_facts(
        [
            ("told by", place),
            ("status", health.status),
            ("requests", "" if sums.requests_per_s is None else f"{words.rate(sums.requests_per_s)}/s{errors}"),
            ("p95", "" if sums.latency_p95_s is None else words.seconds(sums.latency_p95_s)),
            ("tokens", "" if sums.tokens_per_s is None else f"{words.rate(sums.tokens_per_s)}/s"),
            ("slots", slots + (f", {sums.queued} requests wait" if sums.queued else "")),
        ]
    )
    say()
    show_workers(health.workers)
    models = [(model, worker) for worker in health.workers for model in worker.models]
    if models:
        say()
        rows = [
            (
                model.name,
                worker.name,
                model.state,
                f"{model.busy}/{model.slots}",
                model.queued,
                words.rate(model.tokens_per_s),
                words.seconds(model.first_token_s),
            )
            for model, worker in models
        ]
        show_table(MODEL_TITLES, rows, spare=MODEL_SPARE)
    show_open_alerts(health)


def show_workers(workers: "tuple[WorkerHealth, ...]") -> None:
    """Print the workers and why those are not well that are not."""
    same = twins(workers)
    show_table(WORKER_TITLES, [_row(worker, same=worker.key in same) for worker in workers], spare=WORKER_SPARE)
    for worker in workers:
        for reason in worker.reasons:
            say(wrapped(f"{clean(worker.name)}: {clean(reason)}"), fg="yellow")


def show_open_alerts(health: "SystemHealth") -> None:
    """Print what is not well."""
    found = [alert for alert in health.alerts if alert.state in OPEN]
    if found:
        say()
    for alert in found:
        state = "silenced" if alert.silenced_until else "pending" if alert.state == "pending" else alert.severity
        style = {"critical": "red", "warning": "yellow"}.get(state)
        text = f"{state}: {clean(alert.summary)} {clean(alert.do)}".rstrip()
        say(wrapped(text), **({"fg": style} if style else {"dim": True}))


def _row(worker: "WorkerHealth", *, same: bool) -> tuple[object, ...]:
    figures = worker.figures
    _, links = links_of(worker)
    return (
        worker.name,
        worker.wtype,
        worker.state.replace("_", " "),
        words.rate(figures.requests_per_s),
        words.share(figures.error_rate),
        words.seconds(figures.latency_s),
        words.rate(figures.tokens_per_s),
        SAME if same else words.cores(figures.cpu),
        SAME if same else words.size(figures.memory_bytes),
        "" if links == words.DASH else links,
    )
