"""A row of the history: the figures of one worker, or of one of its models, at a moment."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite

from msgspec.structs import asdict

from hyperinfer.contracts.metrics import Figures, WorkerHealth

FIGURES = Figures.__struct_fields__
"""The names of figures, in the order of their columns."""


@dataclass(frozen=True, slots=True)
class Row:
    """`at` is in seconds since the epoch; `model` is empty for the worker as a whole. `figures` are in the order of `FIGURES`."""

    at: int
    worker: str
    model: str
    figures: tuple[float | None, ...]


def rows_of(at: float, worker: WorkerHealth) -> Iterator[Row]:
    """The rows of a worker at one collection."""
    yield _row(at, worker.key, "", asdict(worker.figures))
    for model in worker.models:
        yield _row(at, worker.key, model.name, asdict(model))


def _row(at: float, worker: str, model: str, figures: dict[str, object]) -> Row:
    found = (figures.get(name) for name in FIGURES)
    return Row(int(at), worker, model, tuple(map(_finite, found)))


def _finite(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and isfinite(value) else None
