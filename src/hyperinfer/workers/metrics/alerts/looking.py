"""What rules look at, out of a few pieces: the newest values, how counters have grown, shares and means, for each worker."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from hyperinfer.contracts.metrics import WorkerHealth
from hyperinfer.workers.metrics.alerts.rule import Found
from hyperinfer.workers.metrics.view import View

LATELY_S = 300.0
"""What shares and means are taken over, unless settings say otherwise."""
LONG_S = 900.0
"""What happens seldom is looked for so far back."""

Look = Callable[[View, float], Found]
Wanted = str | Sequence[str]


def newest(metric: str, *by: str, **wanted: Wanted) -> Look:
    """The newest values, summed for each worker and for each value of the labels `by`."""

    def look(view: View, over_s: float) -> Found:
        for worker in view.workers:
            sums: defaultdict[tuple[str, ...], float] = defaultdict(float)
            for labels, value in view.values(worker.key, metric):
                if all(labels.get(name, "") in _some(values) for name, values in wanted.items()):
                    sums[tuple(labels.get(name, "") for name in by)] += value
            for values, total in sums.items():
                yield {"worker": worker.name, **dict(zip(by, values, strict=True))}, total

    return look


def grown(metric: str, **wanted: Wanted) -> Look:
    """By how much the counters of each worker have grown together, as far back as the rule looks."""
    return each(lambda view, worker, over_s: view.increase(worker.key, metric, over_s=over_s, **wanted))


def share(part: str, of: str, *by: str, free: bool = False) -> Look:
    """What one gauge is of another, for each worker and value of the labels `by`; `free` takes what is left of it."""

    def look(view: View, over_s: float) -> Found:
        wholes = {_key(labels): value for labels, value in newest(of, *by)(view, over_s)}
        for labels, value in newest(part, *by)(view, over_s):
            if whole := wholes.get(_key(labels)):
                yield labels, 1 - value / whole if free else value / whole

    return look


def each(figure: Callable[[View, WorkerHealth, float], float | None]) -> Look:
    """A figure of each worker that has it."""

    def look(view: View, over_s: float) -> Iterator[tuple[dict[str, str], float]]:
        for worker in view.workers:
            value = figure(view, worker, over_s)
            if value is not None:
                yield {"worker": worker.name}, value

    return look


def _key(labels: object) -> tuple[tuple[str, str], ...]:
    assert isinstance(labels, dict)
    return tuple(sorted(labels.items()))


def _some(values: Wanted) -> Sequence[str]:
    return (values,) if isinstance(values, str) else values
