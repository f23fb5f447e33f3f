"""The ledger: takes in what gateways deliver, each record once however often it comes."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Table, bindparam, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from hyperinfer.contracts.usage import Recorded, UsageRecord
from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.store import UtcDateTime
from hyperinfer.workers.auth.audit.texts import is_id
from hyperinfer.workers.auth.change import AuthDatabase
from hyperinfer.workers.auth.models import ApiKeyRow, RequestLog, UsageStats, User
from hyperinfer.workers.auth.usage.buckets import SUMS, Known, last_used, log_row, reason_against, summed
from hyperinfer.workers.auth.usage.config import UsageSettings
from hyperinfer.workers.auth.usage.prices import Prices

LOGS: Table = RequestLog.__table__  # type: ignore[assignment]  # a mapped class has a table
STATS: Table = UsageStats.__table__  # type: ignore[assignment]  # as above
KEYS: Table = ApiKeyRow.__table__  # type: ignore[assignment]  # as above

ANOTHERS = "The API key is another account's."


class Ledger:
    """Writes what has been used. Everything that one call takes in is one transaction."""

    def __init__(self, database: AuthDatabase, *, clock: Clock, settings: UsageSettings) -> None:
        self._database = database
        self._clock = clock
        self._prices = Prices(settings)
        self._keep = timedelta(days=settings.keep_request_logs_days)

    async def record(self, records: Sequence[UsageRecord], *, gateway: str) -> Recorded:
        """Take in records of a gateway, named by its key in hex; those that make no sense are refused, each with why.

        Raises `Unavailable`, nothing having been taken in.
        """
        now = self._clock.now()
        refused: dict[str, str] = {}
        sensible: dict[str, UsageRecord] = {}
        for record in records:
            if reason := reason_against(record, now=now, oldest=now - self._keep):
                refused[record.id] = reason
            else:
                sensible.setdefault(record.id, record)
        if not sensible:
            return Recorded(refused=refused)
        # Whoever writes the same rows does it in the same order, so that no two wait for each other.
        ordered = [sensible[id_] for id_ in sorted(sensible)]
        async with self._database.write() as session:
            known = await _known(session, ordered)
            logs = []
            for record in ordered:
                owner = known.owners.get(record.api_key_id or "")
                if owner is not None and owner != record.user_id:
                    refused[record.id] = ANOTHERS
                else:
                    logs.append(log_row(record, known, self._prices, gateway=gateway))
            connection = await session.connection()
            added = await _added(connection, logs)
            await _count(connection, summed(added, now=now))
            await _note_use(connection, added)
        return Recorded(ids=tuple(log["id"] for log in logs), refused=refused)


async def _known(session: AsyncSession, records: Sequence[UsageRecord]) -> Known:
    """Which of the accounts and keys are there; they stay until the transaction ends."""
    wanted = sorted({record.user_id for record in records if is_id(record.user_id)})
    users = select(User.id).where(User.id.in_(wanted)).order_by(User.id).with_for_update(read=True, key_share=True)
    there = frozenset((await session.scalars(users)).all())
    named = sorted({record.api_key_id for record in records if record.api_key_id and is_id(record.api_key_id)})
    keys = select(ApiKeyRow.id, ApiKeyRow.user_id).where(ApiKeyRow.id.in_(named)).order_by(ApiKeyRow.id)
    found = await session.execute(keys.with_for_update(read=True, key_share=True))
    return Known(users=there, owners={row.id: row.user_id for row in found})


async def _added(connection: AsyncConnection, logs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Write rows of the log; gives those that were not there yet."""
    if not logs:
        return []
    statement = _insert(connection, LOGS).on_conflict_do_nothing(index_elements=[LOGS.c.id]).returning(LOGS.c.id)
    new = set((await connection.execute(statement, list(logs))).scalars())
    return [log for log in logs if log["id"] in new]


async def _count(connection: AsyncConnection, sums: Sequence[dict[str, Any]]) -> None:
    """Add to the sums by day."""
    if not sums:
        return
    statement = _insert(connection, STATS)
    more = {name: STATS.c[name] + statement.excluded[name] for name in SUMS}
    await connection.execute(statement.on_conflict_do_update(index_elements=[STATS.c.id], set_=more), list(sums))


async def _note_use(connection: AsyncConnection, added: Sequence[dict[str, Any]]) -> None:
    """Note when keys were last used; a record that comes late says nothing against a newer one."""
    used = last_used(added)
    if not used:
        return
    moment = bindparam("moment", type_=UtcDateTime())
    is_newer = or_(KEYS.c.last_used_at.is_(None), KEYS.c.last_used_at < moment)
    statement = update(KEYS).where(KEYS.c.id == bindparam("key"), is_newer).values(last_used_at=moment)
    await connection.execute(statement, [{"key": key, "moment": used[key]} for key in sorted(used)])


def _insert(connection: AsyncConnection, table: Table) -> Any:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    return dialect.insert(table)
