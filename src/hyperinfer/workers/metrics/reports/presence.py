"""For which part of a day or week each worker answered, as the metrics worker's history has it."""

from collections.abc import Mapping
from typing import Protocol

from hyperinfer.contracts.metrics import History, HistoryQuery
from hyperinfer.errors import BadRequest, Unavailable
from hyperinfer.workers.metrics.reports.making import Presence
from hyperinfer.workers.metrics.reports.periods import Period

SIGN = "answered"
STEP_S = {"daily": 60, "weekly": 600}


class Asked(Protocol):
    """The history."""

    async def ask(self, query: HistoryQuery) -> History:
        """Figures over time. Raises `Unavailable`, `BadRequest`."""


def presence_in(history: Asked) -> Presence:
    """Of the minutes (of a week: ten minutes) in which anybody answered, the part in which each did: while the metrics worker itself
    was away, nothing is known of anybody. Where there is no history, nothing is known at all."""

    async def presence(period: Period) -> Mapping[str, float]:
        query = HistoryQuery(
            figures=(SIGN,), since=period.begins.isoformat(), until=period.ends.isoformat(), step_s=STEP_S[period.kind]
        )
        try:
            found = await history.ask(query)
        except (Unavailable, BadRequest):
            return {}
        return shares(found, end=period.ends.timestamp())

    return presence


def shares(history: History, *, end: float) -> Mapping[str, float]:
    """The part of the watched steps before the end in which each worker answered."""
    steps = max(0, int(end - history.start) // history.step_s)
    answered = {
        one.worker: {at: value for at, value in enumerate(one.values[:steps]) if value is not None}
        for one in history.series
    }
    watched = {at for seen in answered.values() for at, value in seen.items() if value}
    return {worker: sum(seen.values()) / len(watched) for worker, seen in answered.items() if seen} if watched else {}
