"""What the live view knows, and what the person before it has chosen."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from hyperinfer.cli.live.totals import Totals, totals

if TYPE_CHECKING:
    from hyperinfer.sdk import Figures, History, SystemHealth, WorkerHealth

REMEMBERED = 240
"""Collections whose totals are kept: twenty minutes of the usual ones, wider than any sparkline that is drawn."""


@dataclass(frozen=True, slots=True)
class Order:
    """An order of the workers: its key on the keyboard, the column that shows it, and the figure that it goes by."""

    key: str
    title: str
    by: "Callable[[Figures], float | None] | None" = None


ORDERS = (
    Order("n", "worker"),
    Order("r", "req/s", lambda figures: figures.requests_per_s),
    Order("e", "errors", lambda figures: figures.error_rate),
    Order("l", "latency", lambda figures: figures.latency_s),
    Order("t", "tok/s", lambda figures: figures.tokens_per_s),
    Order("c", "cpu", lambda figures: figures.cpu),
    Order("m", "memory", lambda figures: figures.memory_bytes),
)


class Watched:
    """The newest health, the totals of the last minutes, and how it is looked at. `trouble` says why nothing comes; `offset`
    is how far the body is scrolled."""

    def __init__(self, gateway: str) -> None:
        self.gateway = gateway
        self.shown: SystemHealth | None = None
        self.totals: Totals | None = None
        self.requests_per_s: deque[float | None] = deque(maxlen=REMEMBERED)
        self.tokens_per_s: deque[float | None] = deque(maxlen=REMEMBERED)
        self.trouble = ""
        self.paused = False
        self.helping = False
        self.order = ORDERS[0]
        self.offset = 0
        self._newest: SystemHealth | None = None

    def remember(self, history: "History | None", gateways: frozenset[str]) -> None:
        """The totals of the time before, as far as they are kept."""
        if history is None:
            return
        for figure, past in (("requests_per_s", self.requests_per_s), ("tokens_per_s", self.tokens_per_s)):
            series = [one.values for one in history.series if one.figure == figure and one.worker in gateways]
            past.extend(_sum(values) for values in zip_longest(*series))

    def take(self, health: "SystemHealth") -> None:
        """What has just been collected; while it is paused it is kept, and not shown."""
        self._newest, self.trouble = health, ""
        found = totals(health)
        self.requests_per_s.append(found.requests_per_s)
        self.tokens_per_s.append(found.tokens_per_s)
        if not self.paused:
            self.shown, self.totals = health, found

    def lost(self, trouble: str) -> None:
        """Nothing comes any more, and why; what was seen last stays."""
        self.trouble = trouble

    def pause(self) -> None:
        """Show nothing newer, or go on with the newest."""
        self.paused = not self.paused
        if not self.paused and self._newest is not None:
            self.shown, self.totals = self._newest, totals(self._newest)

    def toggle_help(self) -> None:
        """Show what the keys do, or the swarm again."""
        self.helping, self.offset = not self.helping, 0

    def close_help(self) -> None:
        """Show the swarm."""
        self.helping = False

    def sort(self, key: str) -> None:
        """Put the workers in another order."""
        self.order = next(order for order in ORDERS if order.key == key)

    def workers(self) -> "list[WorkerHealth]":
        """The workers in their order: by name, or by a figure, the largest first and those that have none last."""
        if self.shown is None:
            return []
        named = sorted(self.shown.workers, key=lambda worker: (worker.name, worker.key))
        figure = self.order.by
        if figure is None:
            return named
        return sorted(named, key=lambda worker: -value if (value := figure(worker.figures)) is not None else 1.0)


def _sum(values: tuple[float | None, ...]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
