"""Refusals go to the audit log in the background: so that a refusal takes as long whomever it is about, and nobody can
flood the log."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog

from hyperinfer.errors import HyperinferError
from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.tasks import background
from hyperinfer.workers.auth.change import AuthDatabase
from hyperinfer.workers.auth.origin import Origin

MAX_WAITING = 256
BURST = 120
PER_SECOND = 1.0
"""How many refusals are noted one by one; of further ones it is noted how many there were."""
LAST_S = 5.0
"""How long what waits at the end may take."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Note:
    origin: Origin
    action: str
    target: str | None
    details: Mapping[str, str]


class Notes:
    """Refusals that wait to be written down."""

    def __init__(self, database: AuthDatabase, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._waiting: asyncio.Queue[_Note] = asyncio.Queue(MAX_WAITING)
        self._room = float(BURST)
        self._seen_at = clock.monotonic()
        self._unnoted = 0

    def refused(
        self, origin: Origin, action: str, *, target: str | None = None, details: Mapping[str, str] | None = None
    ) -> None:
        """Note that something was refused to the origin, if there is room."""
        now = self._clock.monotonic()
        self._room = min(BURST, self._room + (now - self._seen_at) * PER_SECOND)
        self._seen_at = now
        if self._room < 1 or self._waiting.full():
            self._unnoted += 1
            return
        self._room -= 1
        said = dict(details or {})
        if self._unnoted:
            said["unnoted_before"] = str(self._unnoted)
            self._unnoted = 0
        self._waiting.put_nowait(_Note(origin, action, target, said))

    async def written(self) -> None:
        """Everything that was noted so far has been written, or could not be."""
        await self._waiting.join()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            note = await self._waiting.get()
            try:
                await self._database.note(
                    note.origin, note.action, outcome="refused", target=note.target, details=note.details
                )
            except HyperinferError as error:
                log.error("refusal_not_noted", action=note.action, reason=error.message)
            finally:
                self._waiting.task_done()


@asynccontextmanager
async def noting(database: AuthDatabase, clock: Clock) -> AsyncIterator[Notes]:
    """Notes for the length of the block; what waits at its end is written still."""
    notes = Notes(database, clock)
    async with background(notes.run(), name="audit of refusals"):
        try:
            yield notes
        finally:
            try:
                async with asyncio.timeout(LAST_S):
                    await notes.written()
            except TimeoutError:
                log.error("refusals_not_noted", reason="the database takes too long")
