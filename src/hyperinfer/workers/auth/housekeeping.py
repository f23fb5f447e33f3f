"""What auth does by itself now and then: keeps the signing keys, and forgets what nobody needs any more."""

from datetime import timedelta
from typing import Any

import msgspec
import structlog
from sqlalchemy import delete, func, or_, select

from hyperinfer.contracts import directory as contract
from hyperinfer.errors import IdentityError, Unavailable
from hyperinfer.facilities.clock import Clock
from hyperinfer.workers.auth.change import AuthDatabase
from hyperinfer.workers.auth.models import DirectoryRow, PasswordReset, PersonInviteRow, SessionRow
from hyperinfer.workers.auth.parts import Parts
from hyperinfer.workers.auth.store import costliest_bcrypt

TICK_S = 60.0
CLEAN_EVERY_S = 3600.0
KEPT = timedelta(days=30)
"""How long sessions, invitations and reset tokens are remembered after their end."""
BATCH = 500
MOST_GONE = 10_000
"""Records of what is gone that the directory keeps; beyond it, it begins anew."""

log = structlog.get_logger(__name__)


async def keep_house(parts: Parts, clock: Clock) -> None:
    """Do it all in its time, until cancelled. What cannot be done now is tried again."""
    cleaned_at = clock.monotonic()
    while True:
        await clock.sleep(TICK_S)
        try:
            await parts.signing.keep()
            if clock.monotonic() - cleaned_at >= CLEAN_EVERY_S:
                cleaned_at = clock.monotonic()
                await clean(parts, clock)
        except (Unavailable, IdentityError) as error:
            log.error("housekeeping_failed", reason=error.message)


async def clean(parts: Parts, clock: Clock) -> None:
    """Forget what ended long ago. Raises `Unavailable`."""
    before = clock.now() - KEPT
    await _delete(parts.database, SessionRow, SessionRow.expires_at < before)
    for table in (PasswordReset, PersonInviteRow):
        await _delete(parts.database, table, or_(table.expires_at < before, table.used_at < before))
    await _forget_expired_sessions(parts.database, clock.now().timestamp())
    await _forget_gone(parts.database)
    async with parts.database.read() as rows:
        parts.passwords.rounds = await costliest_bcrypt(rows)


async def _delete(database: AuthDatabase, table: Any, which: Any) -> None:
    """Delete rows, so many at a time that nobody waits for long."""
    while True:
        async with database.write() as rows:
            ids = (await rows.scalars(select(table.id).where(which).limit(BATCH))).all()
            await rows.execute(delete(table).where(table.id.in_(ids)))
        if len(ids) < BATCH:
            return


async def _forget_expired_sessions(database: AuthDatabase, now: float) -> None:
    """Records of ended sessions whose tokens have expired meanwhile. Gateways forget them by themselves."""
    decoder, after = msgspec.json.Decoder(contract.SessionRecord), ""
    wanted = select(DirectoryRow).where(DirectoryRow.kind == contract.SESSION).order_by(DirectoryRow.id).limit(BATCH)
    while True:
        async with database.write() as rows:
            page = (await rows.scalars(wanted.where(DirectoryRow.id > after))).all()
            for row in page:
                if row.record is None or decoder.decode(row.record).expires_at <= now:
                    await rows.delete(row)
        if len(page) < BATCH:
            return
        after = page[-1].id


async def _forget_gone(database: AuthDatabase) -> None:
    """Forget which accounts and keys there once were, when they are too many: gateways then read everything anew."""
    gone = DirectoryRow.record.is_(None)
    async with database.read() as rows:
        count = await rows.scalar(select(func.count()).select_from(DirectoryRow).where(gone)) or 0
    if count > MOST_GONE:
        async with database.change() as change:
            await change.session.execute(delete(DirectoryRow).where(gone))
            await change.renew_directory()
        log.info("directory_begun_anew", forgotten=count)
