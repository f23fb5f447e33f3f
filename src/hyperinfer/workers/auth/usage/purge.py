"""Removal of single requests that have been kept long enough; the sums by day stay."""

from datetime import timedelta

import structlog
from sqlalchemy import delete, select

from hyperinfer.errors import Unavailable
from hyperinfer.facilities.clock import Clock
from hyperinfer.workers.auth.change import AuthDatabase
from hyperinfer.workers.auth.models import RequestLog
from hyperinfer.workers.auth.usage.config import UsageSettings

EVERY_S = 3600.0
BATCH = 1000
PAUSE_S = 0.1
"""Between two batches, so that others have their turn."""
MARGIN = timedelta(days=1)
"""The ledger refuses what is older than requests are kept, as it could not tell whether it has counted it: with this
much between the two it can, though clocks differ."""

log = structlog.get_logger(__name__)


class Purge:
    """Removes old requests while `run` runs."""

    def __init__(self, database: AuthDatabase, *, clock: Clock, settings: UsageSettings) -> None:
        self._database = database
        self._clock = clock
        self._keep = timedelta(days=settings.keep_request_logs_days)

    async def run(self) -> None:
        """Look every hour, until cancelled."""
        while True:
            try:
                await self.once()
            except Unavailable as error:
                log.warning("requests_not_purged", reason=error.message)
            await self._clock.sleep(EVERY_S)

    async def once(self) -> int:
        """Remove what is old now, in short transactions; says how many requests that were. Raises `Unavailable`."""
        before = self._clock.now() - self._keep - MARGIN
        old = select(RequestLog.id).where(RequestLog.created_at < before).order_by(RequestLog.created_at).limit(BATCH)
        removed = 0
        while True:
            async with self._database.write() as session:
                ids = (await session.scalars(old)).all()
                gone = delete(RequestLog).where(RequestLog.id.in_(ids))
                await session.execute(gone.execution_options(synchronize_session=False))
            removed += len(ids)
            if len(ids) < BATCH:
                break
            await self._clock.sleep(PAUSE_S)
        if removed:
            log.info("requests_purged", count=removed)
        return removed
