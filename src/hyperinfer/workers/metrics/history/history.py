"""The history as the metrics worker uses it: rows are gathered, written behind everybody's back, and looked up."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import structlog

from hyperinfer.contracts.metrics import MAX_POINTS, HistoryQuery, Series
from hyperinfer.contracts.metrics import History as Reply
from hyperinfer.errors import BadRequest, Unavailable
from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.tasks import Endings, background
from hyperinfer.workers.metrics.history.config import HOUR_S, HistorySettings
from hyperinfer.workers.metrics.history.levels import levels_of, plan
from hyperinfer.workers.metrics.history.meters import Meters
from hyperinfer.workers.metrics.history.rows import FIGURES, Row, rows_of
from hyperinfer.workers.metrics.history.store import Store
from hyperinfer.workers.metrics.view import View

log = structlog.get_logger(__name__)

MAX_ROWS = 5000
"""Of one collection, so many rows are kept: those of workers before those of their models."""
MAX_WAITING = 60_000
"""Rows that wait while the file cannot be written; the oldest are lost then."""
MAX_VALUES = 200_000
"""Values in one answer; steps become longer so that it holds no more."""
FORGET_EVERY = 30
"""Old rows are thrown away at every so many writes."""


class History:
    """Figures over time. `collected` never waits; what cannot be written is tried again, and in the end lost and counted."""

    def __init__(
        self, settings: HistorySettings, folder: Path, *, interval_s: float, clock: Clock, meters: Meters
    ) -> None:
        self._settings = settings
        self._levels = levels_of(settings, interval_s)
        self._clock = clock
        self._meters = meters
        self._store = Store(folder, self._levels, max_bytes=settings.max_bytes, monotonic=clock.monotonic)
        self._waiting: list[Row] = []
        self._turn = asyncio.Lock()
        self._endings = Endings()
        self._writes = 0
        self._is_failing = False

    def collected(self, view: View) -> None:
        """Keep the figures of a collection."""
        at = view.now.timestamp()
        rows = [row for worker in view.workers for row in rows_of(at, worker)]
        rows.sort(key=lambda row: bool(row.model))
        self._meters.lost.inc(len(rows[MAX_ROWS:]))
        self._wait([*self._waiting, *rows[:MAX_ROWS]])

    async def ask(self, query: HistoryQuery) -> Reply:
        """Figures over time. Raises `BadRequest` for what is no figure or no time, `Unavailable` while the file cannot be used."""
        if not self._settings.enabled:
            raise Unavailable("The metrics worker keeps no history: history.enabled is false.")
        figures = tuple(dict.fromkeys(query.figures))
        if unknown := [name for name in figures if name not in FIGURES]:
            raise BadRequest(f"There is no figure {unknown[0]}. Figures are {', '.join(FIGURES)}.", param="figures")
        now = self._clock.now().timestamp()
        until = _moment(query.until, "until") or now
        since = _moment(query.since, "since") or until - HOUR_S
        if since > until:
            raise BadRequest("since is later than until.", param="since")
        await self.write()

        def look() -> Reply:
            count = self._store.series(query.worker, query.model or "")
            most = max(1, min(MAX_POINTS, MAX_VALUES // (max(1, count) * len(figures))))
            how = plan(self._levels, now=now, since=since, until=min(until, now), step_s=query.step_s, max_steps=most)
            found: Sequence[Series] = self._store.read(how, figures, query.worker, query.model or "")
            return Reply(start=how.start, step_s=how.step_s, series=tuple(found))

        return await asyncio.to_thread(look)

    async def run(self) -> None:
        """Write now and then, until cancelled."""
        while True:
            await self._clock.sleep(self._settings.write_s)
            try:
                await self.write()
            except Unavailable:
                continue  # it has been said

    async def write(self) -> None:
        """Write what waits. Raises `Unavailable`, and it waits on."""
        await self._endings.begin(self._write(), name="history written")

    async def _write(self) -> None:
        async with self._turn:
            rows, self._waiting = self._waiting, []
            if not rows and self._store.is_open:
                return
            try:
                await asyncio.to_thread(self._written, rows, int(self._clock.now().timestamp()))
            except Unavailable as error:
                self._wait([*rows, *self._waiting])
                self._meters.failures.inc()
                if not self._is_failing:
                    log.error("history_not_written", reason=error.message)
                self._is_failing = True
                raise
            self._is_failing = False

    def _wait(self, rows: list[Row]) -> None:
        self._meters.lost.inc(max(0, len(rows) - MAX_WAITING))
        self._waiting = rows[-MAX_WAITING:]

    def _written(self, rows: Sequence[Row], now: int) -> None:
        self._store.write(rows, now)
        if self._writes % FORGET_EVERY == 0:
            self._store.forget(now)
        self._writes += 1

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write for the length of the block, and what is left at its end."""
        if not self._settings.enabled:
            yield
            return
        try:
            async with background(self.run(), name="history"):
                yield
        finally:
            try:
                await self.write()
            except Unavailable as error:
                log.warning("history_lost", rows=len(self._waiting), reason=error.message)
            finally:
                await self._endings.wait()
                self._store.close()


def _moment(text: str | None, name: str) -> float | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise BadRequest(f"{name} is a time such as 2026-01-31T12:00:00Z.", param=name)
    return moment.timestamp()
