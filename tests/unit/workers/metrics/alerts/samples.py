"""Alerts and notices to tell, and a swarm to look at."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from hyperinfer.contracts.metrics import Alert, WorkerHealth
from hyperinfer.workers.metrics.alerts.notifying.notice import Notice

SINCE = "2026-11-21T18:00:00+00:00"
OVER = "2026-11-21T18:05:00+00:00"
LOST = Alert(
    id="a1",
    rule="worker_lost",
    severity="critical",
    state="firing",
    summary="The worker gpu (inference) does not answer.",
    do="Look at its machine.",
    labels={"worker": "gpu", "wtype": "inference"},
    value=0.0,
    since=SINCE,
)
QUEUE = replace(
    LOST, id="b2", rule="queue", severity="warning", summary="150 requests wait at gpu.", labels={"worker": "gpu"}
)


def over(alert: Alert) -> Alert:
    return replace(alert, state="resolved", resolved_at=OVER)


def notice(*firing: Alert, resolved: tuple[Alert, ...] = (), **changes: Any) -> Notice:
    return replace(Notice(id="n1", at=SINCE, firing=firing, resolved=resolved), **changes)


class Swarm:
    """A view whose values a test sets: by worker, then by metric; a worker without values is lost."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.shown: dict[str, dict[str, float] | None] = {}

    @property
    def workers(self) -> Sequence[WorkerHealth]:
        return [
            WorkerHealth(key=name, name=name, wtype="inference", state="lost" if values is None else "ready")
            for name, values in self.shown.items()
        ]

    def values(self, worker: str, metric: str) -> Sequence[tuple[Mapping[str, str], float]]:
        value = self.value(worker, metric)
        return [] if value is None else [({}, value)]

    def value(self, worker: str, metric: str, **labels: Any) -> float | None:
        return (self.shown[worker] or {}).get(metric)

    def increase(self, worker: str, metric: str, *, over_s: float, **labels: Any) -> float | None:
        return self.value(worker, metric)

    def mean(self, worker: str, histogram: str, *, over_s: float, **labels: Any) -> float | None:
        return None

    def quantile(self, worker: str, histogram: str, q: float, *, over_s: float, **labels: Any) -> float | None:
        return None
