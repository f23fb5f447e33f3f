"""What auth does for its audit log while it runs: takes in what was noted aside, and publishes the head each minute."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog

from hyperinfer.contracts.audit import HEAD, AuditHead, Outcome
from hyperinfer.errors import StartError, Unavailable
from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.tasks import background
from hyperinfer.workers.auth.audit import heads, marks
from hyperinfer.workers.auth.audit.aside import note_aside
from hyperinfer.workers.auth.audit.taking import take_in
from hyperinfer.workers.auth.change import AuthDatabase

TICK_S = 1.0
PUBLISH_EVERY_S = 60.0


log = structlog.get_logger(__name__)


class AuditKeeper:
    """Keeps the log of one data folder. `head` is the newest that has been published."""

    def __init__(self, database: AuthDatabase, data: Path, clock: Clock) -> None:
        self._database = database
        self._data = data
        self._clock = clock
        self.head: AuditHead | None = None

    async def extra(self) -> Mapping[str, Any]:
        """What goes to every member along with the member list."""
        return {HEAD: self.head} if self.head else {}

    async def note(self, action: str, outcome: Outcome, details: Mapping[str, str]) -> None:
        """Write down what was done outside the database. Raises `Unavailable`."""
        now = self._clock.now()
        await asyncio.to_thread(note_aside, self._data, action, now=now, outcome=outcome, details=details)

    async def run(self) -> None:
        """Keep the log until cancelled."""
        published = self._clock.monotonic()
        while True:
            await self._clock.sleep(TICK_S)
            await self.take_in()
            if self._clock.monotonic() - published >= PUBLISH_EVERY_S:
                published = self._clock.monotonic()
                await self.publish()

    async def take_in(self) -> None:
        """Take in what was noted aside; what cannot be taken in now waits."""
        try:
            await take_in(self._database, self._data)
        except Unavailable as error:
            log.warning("audit_notes_wait", reason=error.message)

    async def publish(self) -> None:
        """Publish the head, if there are rows since the last one and those of before still stand.

        A log that has lost a published row is not published any more: every member keeps the head that says so.
        """
        try:
            known = await asyncio.to_thread(self._standing)
            if known is not None and not await heads.is_held(self._database, known):
                log.error("audit_log_tampered", row=known.seq, do="run `hyperinfer audit verify` on this machine")
                self.head = known
                return
            newest = await heads.newest(self._database, self._clock.now())
            if newest is not None and (known is None or newest.seq > known.seq):
                await asyncio.to_thread(heads.append, self._data, newest)
                known = newest
            self.head = known
        except (StartError, Unavailable) as error:
            log.error("audit_head_not_published", reason=error.message)
        except OSError as error:
            log.error("audit_head_not_published", reason=error.strerror)

    def _standing(self) -> AuditHead | None:
        standing = heads.standing(heads.read(self._data).heads, marks.read(self._data))
        return standing[-1] if standing else None


@asynccontextmanager
async def kept_audit(database: AuthDatabase, data: Path, clock: Clock) -> AsyncIterator[AuditKeeper]:
    """The keeper of auth's log for the length of the block; the head is published at both ends."""
    keeper = AuditKeeper(database, data, clock)
    await keeper.take_in()
    await keeper.publish()
    try:
        async with background(keeper.run(), name="audit log"):
            yield keeper
    finally:
        await keeper.take_in()
        await keeper.publish()
