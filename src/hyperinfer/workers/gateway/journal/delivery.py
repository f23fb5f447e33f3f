"""Delivery of settled records to auth, in their order: each is sent until auth has said what became of it."""

import asyncio
from collections.abc import Sequence

import structlog

from hyperinfer.contracts.usage import MAX_BATCH, RECORD_USAGE, RecordUsage, UsageRecord
from hyperinfer.errors import BadRequest, HyperinferError, RemoteError, TooLarge
from hyperinfer.facilities.clock import Clock
from hyperinfer.kernel.calls import Caller
from hyperinfer.workers.gateway.journal.backlog import Backlog
from hyperinfer.workers.gateway.journal.refused import Refused, RefusedFile

EVERY_S = 1.0
"""Between two batches, where the first was not a full one."""
TIMEOUT_S = 15.0
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 8.0
FINISH_S = 2.0
"""How long a gateway that stops goes on delivering."""

log = structlog.get_logger(__name__)


class Delivery:
    """Delivers one backlog while `run` runs."""

    def __init__(self, backlog: Backlog, auth: Caller, refused: RefusedFile, *, clock: Clock) -> None:
        self._backlog = backlog
        self._auth = auth
        self._refused = refused
        self._clock = clock
        self._most = MAX_BATCH
        self._is_away = False

    async def run(self) -> None:
        """Deliver until cancelled; while auth is away, try again now and then."""
        pause_s = FIRST_PAUSE_S
        while True:
            await self._backlog.something()
            try:
                more = await self._deliver()
            except (HyperinferError, OSError) as error:
                self._say_away(error)
                await self._clock.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
                continue
            pause_s = FIRST_PAUSE_S
            if self._is_away:
                self._is_away = False
                log.info("usage_delivered_again", waiting=self._backlog.waiting)
            if not more:
                await self._clock.sleep(EVERY_S)

    async def finish(self) -> None:
        """Deliver what is there, if that is quickly done; what is left waits for the next start."""
        try:
            async with asyncio.timeout(FINISH_S):
                while self._backlog.waiting:
                    await self._deliver()
        except (HyperinferError, OSError, TimeoutError):
            log.info("usage_waits", records=self._backlog.waiting, until="the next start")

    async def _deliver(self) -> bool:
        """Deliver one batch; says whether there was more than one. Raises `HyperinferError`, `OSError`."""
        records, position = await self._backlog.oldest(self._most)
        if not records:
            return False
        try:
            refused = await self._sent(records)
        except (BadRequest, TooLarge) as error:
            # One of them may be what auth cannot read: fewer and fewer are sent, until it is alone.
            if len(records) > 1:
                self._most = len(records) // 2
                return True
            refused = [Refused(why=error.message, record=records[0])]
        if refused:
            log.error("usage_refused", records=len(refused), why=refused[0].why, id=refused[0].record.id)
            await asyncio.to_thread(self._refused.add, refused)
        self._backlog.delivered(position, len(records))
        is_full = len(records) == self._most
        self._most = min(2 * self._most, MAX_BATCH)
        return is_full

    async def _sent(self, records: Sequence[UsageRecord]) -> list[Refused]:
        """Send records; gives those that auth refuses."""
        reply = await self._auth.call(RECORD_USAGE, RecordUsage(records=tuple(records)), timeout_s=TIMEOUT_S)
        taken, refused = set(reply.ids), []
        for record in records:
            why = reply.refused.get(record.id)
            if why is not None:
                refused.append(Refused(why=why, record=record))
            elif record.id not in taken:
                raise RemoteError("Auth has not said what became of a record.")
        return refused

    def _say_away(self, error: Exception) -> None:
        reason = error.message if isinstance(error, HyperinferError) else str(error)
        if not self._is_away:
            log.warning("usage_not_delivered", reason=reason, consequence="it waits in the journal")
        self._is_away = True
