"""The swarm as it was collected last: the `View` of rules and figures, and all metrics as one text."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec.structs import replace

from hyperinfer.contracts.metrics import WorkerHealth
from hyperinfer.workers.metrics.collecting.exposition import Exposition, Family, merged
from hyperinfer.workers.metrics.collecting.figures import figures_of, models_of
from hyperinfer.workers.metrics.collecting.members import Asked
from hyperinfer.workers.metrics.collecting.memory import Memory
from hyperinfer.workers.metrics.collecting.worker import Worker

UP = "ai_platform_worker_up"


class Swarm:
    """Every worker by key. It is a `View`: what it says holds until the next collection."""

    def __init__(self, *, now: datetime, remember_s: float) -> None:
        self.now = now
        self.known: dict[str, Worker] = {}
        self.workers: Sequence[WorkerHealth] = ()
        self._remember_s = remember_s
        self._text: bytes | None = None

    @property
    def series(self) -> int:
        """How many series are held of all workers."""
        return sum(len(worker.memory) for worker in self.known.values())

    def admits(self, asked: Mapping[bytes, Asked]) -> None:
        """These are the members now; what was known of others is forgotten."""
        kept = {}
        for key, one in asked.items():
            worker = self.known.get(key.hex()) or Worker(one, Memory(remember_s=self._remember_s))
            worker.asked = one
            kept[key.hex()] = worker
        self.known = kept

    def collected(self, now: datetime) -> None:
        """A round is over: what is told from here on is what it found."""
        self.now = now
        self._text = None
        self.workers = tuple(self._health(key, worker) for key, worker in self.known.items())

    def text(self) -> bytes:
        """The metrics of every worker that answered, and for each member whether it did."""
        if self._text is None:
            here = [(worker.labels, worker.memory.last) for worker in self.known.values() if worker.is_here]
            self._text = merged([*here, *((worker.labels, _up(worker)) for worker in self.known.values())]).encode()
        return self._text

    def _health(self, key: str, worker: Worker) -> WorkerHealth:
        health, links = worker.health, worker.links if worker.is_here else ()
        told_links = worker.told_links(len(self.known)) if links else ()
        figures = replace(figures_of(self, key, worker.wtype), answered=int(worker.is_here) if health else None)
        trips_s = [link.round_trip_s for link in links if link.round_trip_s is not None]
        if figures.round_trip_s is None and trips_s:
            figures = replace(figures, round_trip_s=sum(trips_s) / len(trips_s))
        return WorkerHealth(
            key=key,
            name=worker.asked.name,
            wtype=worker.wtype,
            state=worker.state,
            reasons=worker.reasons,
            seen_at=worker.seen_at.isoformat() if worker.seen_at else None,
            version=health.version if health else "",
            process=health.process if health else "",
            uptime_s=health.uptime_s if health and worker.is_here else None,
            figures=figures,
            models=models_of(self, key),
            links=told_links,
            links_left_out=len(links) - len(told_links),
        )

    # --- as a View ------------------------------------------------------------------------------------------------

    def value(self, worker: str, metric: str, **labels: str | Sequence[str]) -> float | None:
        """The newest samples that match, summed."""
        memory = self._memory(worker)
        return memory.value(metric, labels) if memory else None

    def values(self, worker: str, metric: str) -> Sequence[tuple[Mapping[str, str], float]]:
        """The newest samples of a metric, each with its labels."""
        memory = self._memory(worker)
        return memory.values(metric) if memory else ()

    def increase(self, worker: str, metric: str, *, over_s: float, **labels: str | Sequence[str]) -> float | None:
        """How much the counters that match have grown together."""
        memory = self._memory(worker)
        return memory.increase(metric, over_s, labels) if memory else None

    def rate(self, worker: str, metric: str, *, over_s: float, **labels: str | Sequence[str]) -> float | None:
        """The same for each second."""
        memory = self._memory(worker)
        since = memory.since(over_s) if memory else None
        grown = self.increase(worker, metric, over_s=over_s, **labels)
        return grown / since[1] if grown is not None and since and since[1] > 0 else None

    def rates(self, worker: str, metric: str, *, by: str, over_s: float, **labels: str) -> Mapping[str, float]:
        """The same for each value of a label."""
        memory = self._memory(worker)
        since = memory.since(over_s) if memory else None
        if memory is None or since is None or since[1] <= 0:
            return {}
        return {value: grown / since[1] for value, grown in memory.increases(metric, over_s, labels, by=by).items()}

    def mean(self, worker: str, histogram: str, *, over_s: float, **labels: str | Sequence[str]) -> float | None:
        """The mean of what the histograms that match observed in that time."""
        memory = self._memory(worker)
        return memory.mean(histogram, over_s, labels) if memory else None

    def means(self, worker: str, histogram: str, *, by: str, over_s: float) -> Mapping[str, float]:
        """The same for each value of a label, where there was something to observe."""
        memory = self._memory(worker)
        if memory is None:
            return {}
        counts = memory.increases(f"{histogram}_count", over_s, {}, by=by)
        totals = memory.increases(f"{histogram}_sum", over_s, {}, by=by)
        return {value: totals[value] / count for value, count in counts.items() if count and value in totals}

    def quantile(
        self, worker: str, histogram: str, q: float, *, over_s: float, **labels: str | Sequence[str]
    ) -> float | None:
        """The q-quantile of the same."""
        memory = self._memory(worker)
        return memory.quantile(histogram, q, over_s, labels) if memory else None

    def _memory(self, worker: str) -> Memory | None:
        """What a worker showed at the last collection, if it did."""
        known = self.known.get(worker)
        return known.memory if known and known.is_here else None


def _up(worker: Worker) -> Exposition:
    line = f"{UP} {int(worker.is_here)}"
    family = Family("gauge", "Whether a member of the swarm answered when it was last asked.", {UP}, [line])
    return Exposition({UP: family})
