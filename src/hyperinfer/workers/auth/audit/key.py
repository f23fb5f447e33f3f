"""The key that links the rows of the audit log: a file outside the database, made once, never replaced in silence."""

import os
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from hyperinfer.errors import IdentityError
from hyperinfer.kernel.files import make_secret, read_secret
from hyperinfer.workers.auth.audit.chain import KEY_BYTES
from hyperinfer.workers.auth.models import AuditLogRow, Heads

FILE = "audit.key"
WHAT = "the audit key"
LOST = "`hyperinfer audit restart` makes a new one, after which the rows of before can no longer be verified"


async def audit_key(engine: AsyncEngine, data: Path) -> bytes:
    """The key in auth's data folder, made now if there is none and the log is empty.

    Raises `IdentityError` for a file that is damaged or open to others, or gone while the log has rows.
    """
    if not _is_there(data):
        await _refuse_to_replace(engine, data)
        make_secret(data / FILE, KEY_BYTES, WHAT)
    return read_key(data)


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
        raise IdentityError(
            f"The audit log has rows, and the key {data / FILE} that they were written with is gone. Restore it from a "
            f"backup, or copy it from the other machine where auth runs on this database. If it is lost, {LOST}."
        )
