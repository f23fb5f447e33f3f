"""Looking into the accounts' database now and then: whether it answers, how fast, and how many there are of what it holds.

Whoever looks at metrics then waits for no database, and costs it nothing.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Select, func, or_, select

from hyperinfer.errors import Unavailable
from hyperinfer.facilities.clock import Clock
from hyperinfer.workers.auth.change import AuthDatabase
from hyperinfer.workers.auth.models import ApiKeyRow, Heads, SessionRow, User

LOOK_EVERY_S = 15.0
COUNT_EVERY_LOOKS = 4
SOON = timedelta(days=7)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Counts:
    """What the database holds; `expiring_keys` are among the active ones."""

    active_accounts: int
    disabled_accounts: int
    active_keys: int
    expired_keys: int
    revoked_keys: int
    expiring_keys: int
    sessions: int
    audit_entries: int


class Census:
    """What was found at the last look, while `run` runs; `None` is what is not known."""

    def __init__(self, database: AuthDatabase, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self.is_up: bool | None = None
        self.round_trip_s: float | None = None
        self.counts: Counts | None = None

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await self.look()
            await self.count()
            for _ in range(COUNT_EVERY_LOOKS):
                await self._clock.sleep(LOOK_EVERY_S)
                await self.look()

    async def look(self) -> None:
        """See whether the database answers."""
        began = self._clock.monotonic()
        try:
            async with self._database.read() as rows:
                await rows.scalar(select(1))
        except Unavailable as error:
            log.debug("database_away", reason=error.message)
            self.is_up, self.round_trip_s, self.counts = False, None, None
        else:
            self.is_up, self.round_trip_s = True, self._clock.monotonic() - began

    async def count(self) -> None:
        """Count what it holds."""
        try:
            self.counts = await self._counted(self._clock.now())
        except Unavailable as error:
            log.debug("census_failed", reason=error.message)
            self.counts = None

    async def _counted(self, now: datetime) -> Counts:
        keys = select(func.count()).select_from(ApiKeyRow)
        working, lasts = keys.where(ApiKeyRow.is_active), ApiKeyRow.expires_at > now
        users = select(func.count()).select_from(User)
        sessions = select(func.count()).select_from(SessionRow)
        async with self._database.read() as rows:

            async def count(wanted: Select[int]) -> int:
                return await rows.scalar(wanted) or 0

            return Counts(
                active_accounts=await count(users.where(User.is_active)),
                disabled_accounts=await count(users.where(~User.is_active)),
                active_keys=await count(working.where(or_(ApiKeyRow.expires_at.is_(None), lasts))),
                expired_keys=await count(working.where(ApiKeyRow.expires_at <= now)),
                revoked_keys=await count(keys.where(~ApiKeyRow.is_active)),
                expiring_keys=await count(working.where(lasts, ApiKeyRow.expires_at <= now + SOON)),
                sessions=await count(sessions.where(SessionRow.ended_at.is_(None), SessionRow.expires_at > now)),
                audit_entries=await count(select(Heads.audit_seq)),
            )
