"""How a report is made: auth is asked for what its days came to, and that is put into words in every form."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from hyperinfer.contracts.reports import SUM_USAGE, Form, SumUsage
from hyperinfer.errors import BadRequest
from hyperinfer.facilities.clock import Clock
from hyperinfer.kernel.calls import Caller
from hyperinfer.workers.metrics.reports.figures import Report, tokens_of
from hyperinfer.workers.metrics.reports.kept import Kept
from hyperinfer.workers.metrics.reports.page import html_of
from hyperinfer.workers.metrics.reports.periods import Period
from hyperinfer.workers.metrics.reports.plain import text_of
from hyperinfer.workers.metrics.reports.table import csv_of

SUM_TIMEOUT_S = 240.0
"""How long auth may add up; a million requests take some 15 s on SQLite."""
FRESH_S = 30.0
"""How old a report that is not kept may be when it is asked for again."""
MAX_FRESH = 4

Presence = Callable[[Period], Awaitable[Mapping[str, float]]]
"""For which part of a period each worker answered, by hex key; those are left out of which nothing is known."""
Names = Callable[[], Mapping[str, str]]
"""What the members are called, by hex key."""


async def nothing_known(_period: Period) -> Mapping[str, float]:
    """No worker was watched."""
    return {}


@dataclass(frozen=True, slots=True)
class Made:
    """A report in all its forms."""

    kept: Kept
    texts: dict[Form, str]


class Maker:
    """Makes reports, one at a time. Raises `Unavailable` and `DeadlineExceeded` while auth is away."""

    def __init__(self, auth: Caller, *, clock: Clock, names: Names, presence: Presence = nothing_known) -> None:
        self._auth = auth
        self._clock = clock
        self._names = names
        self._presence = presence
        self._turn = asyncio.Lock()
        self._fresh: dict[str, tuple[float, Made]] = {}

    async def make(self, period: Period) -> Made:
        """A report as things stand now. Raises `BadRequest` for a period that has not begun."""
        if self._clock.now() < period.begins:
            raise BadRequest("This has not begun yet.", param="name")
        async with self._turn:
            return await self._make(period)

    async def made_lately(self, period: Period) -> Made:
        """The same, but what was made a moment ago is taken again: whoever asks often costs auth nothing."""
        if self._clock.now() < period.begins:
            raise BadRequest("This has not begun yet.", param="name")
        async with self._turn:
            at, made = self._fresh.get(period.name, (0.0, None))
            if made is None or self._clock.monotonic() - at > FRESH_S:
                made = await self._make(period)
                self._fresh.pop(period.name, None)
                self._fresh[period.name] = (self._clock.monotonic(), made)
                while len(self._fresh) > MAX_FRESH:
                    del self._fresh[next(iter(self._fresh))]
            return made

    async def _make(self, period: Period) -> Made:
        wanted = SumUsage(since=period.since, until=period.until)
        summary = await self._auth.call(SUM_USAGE, wanted, timeout_s=SUM_TIMEOUT_S)
        report = Report(
            period=period,
            summary=summary,
            made_at=self._clock.now(),
            workers=self._names(),
            present=await self._presence(period),
        )
        kept = Kept(
            name=period.name,
            kind=period.kind,
            since=period.since,
            until=period.until,
            made_at=report.made_at,
            requests=summary.total.requests,
            total_tokens=tokens_of(summary.total),
        )
        return Made(kept, await asyncio.to_thread(_forms, report))


def _forms(report: Report) -> dict[Form, str]:
    return {"html": html_of(report), "csv": csv_of(report.summary), "text": text_of(report)}
