"""The key that links the rows of the audit log: a file outside the database, made once, never replaced in silence."""

import os
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from hyperinfer.errors import IdentityError
from hyperinfer.kernel.files import make_secret, read_secret
from hyperinfer.workers.auth.audit import marks
from hyperinfer.workers.auth.audit.chain import KEY_BYTES, is_linked
from hyperinfer.workers.auth.audit.entries import entry_in
from hyperinfer.workers.auth.audit.walk import Begin
from hyperinfer.workers.auth.models import AuditLogRow, Heads

FILE = "audit.key"
WHAT = "the audit key"
LOST = "`hyperinfer audit restart` makes a new one, after which the rows of before can no longer be verified"
WHAT_TO_DO = (
    "Restore it from a backup, or copy it from the other machine where auth runs on this database. "
    f"If there is none, {LOST}."
)


async def audit_key(engine: AsyncEngine, data: Path) -> bytes:
    """The key in auth's data folder, made now if there is none and the log is empty.

    Raises `IdentityError` for a file that is damaged or open to others, gone while the log has rows, or another than
    the one that these were written with.
    """
    if not _is_there(data):
        await _refuse_to_replace(engine, data)
        make_secret(data / FILE, KEY_BYTES, WHAT)
    key = read_key(data)
    if not await _fits(engine, key, marks.begin(marks.read(data))):
        raise IdentityError(f"{data / FILE} is not the key that the audit log was written with. {WHAT_TO_DO}")
    return key


def read_key(data: Path) -> bytes:
    """The key that is there. Raises `IdentityError`."""
    return read_secret(data / FILE, KEY_BYTES, WHAT, no_backup=LOST)


def _is_there(data: Path) -> bool:
    return os.path.lexists(data / FILE)  # a link to nowhere is a key out of reach, not a missing one


async def _refuse_to_replace(engine: AsyncEngine, data: Path) -> None:
    async with engine.connect() as connection:
        written = await connection.scalar(select(func.max(Heads.audit_seq))) or 0
        first = await connection.scalar(select(AuditLogRow.seq).limit(1))
    if written or first is not None:
        raise IdentityError(f"The audit log has rows, and its key {data / FILE} is gone. {WHAT_TO_DO}")


async def _fits(engine: AsyncEngine, key: bytes, begin: Begin) -> bool:
    """Whether the first or the newest row is linked by this key: one that was altered says nothing of the key."""
    rows = select(AuditLogRow).where(AuditLogRow.seq > begin.seq)
    async with AsyncSession(engine) as session:
        first = await session.scalar(rows.order_by(AuditLogRow.seq).limit(1))
        newest = (await session.scalars(rows.order_by(AuditLogRow.seq.desc()).limit(2))).all()
    judged = []
    if first is not None and first.seq == begin.seq + 1:
        judged.append(is_linked(entry_in(first), first.link, before=begin.link, key=key))
    if len(newest) == 2 and newest[0].seq == newest[1].seq + 1:
        judged.append(is_linked(entry_in(newest[0]), newest[0].link, before=newest[1].link, key=key))
    return not judged or any(judged)
