"""What an operator does to the log as a whole: begin it anew, or say that the database was restored."""

from datetime import datetime
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from hyperinfer.errors import IdentityError
from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.store import Database
from hyperinfer.kernel.files import make_secret
from hyperinfer.workers.auth.audit import key as keys
from hyperinfer.workers.auth.audit import marks
from hyperinfer.workers.auth.audit.aside import note_aside
from hyperinfer.workers.auth.audit.chain import KEY_BYTES
from hyperinfer.workers.auth.audit.marks import Mark
from hyperinfer.workers.auth.audit.reading import Readable
from hyperinfer.workers.auth.change import AuthDatabase
from hyperinfer.workers.auth.models import AuditLogRow, Heads
from hyperinfer.workers.auth.origin import LOCAL


async def restart(engine: AsyncEngine, data: Path, clock: Clock) -> Mark:
    """Begin the log anew after its newest row; auth must not run on the folder.

    The rows of before stay, and are no longer verified. A key that is gone or damaged gets a successor. Raises
    `StartError`, `IdentityError`, `Unavailable`.
    """
    async with Database(engine).write() as session:
        head = (await session.scalars(select(Heads).with_for_update())).one()
        last = await session.scalar(select(func.max(AuditLogRow.seq))) or 0
        if last > head.audit_seq:
            row = await session.get_one(AuditLogRow, last)
            head.audit_seq, head.audit_link = row.seq, row.link
        mark = Mark(kind="restarted", seq=head.audit_seq, link=head.audit_link, at=clock.now())
    marks.add(data, mark)
    _have_key(data, clock.now())
    database = AuthDatabase(engine, clock=clock, audit_key=keys.read_key(data))
    await database.note(LOCAL, "audit.restarted", outcome="ok", details={"rows": str(mark.seq)})
    return mark


async def restored(database: Readable, data: Path, now: datetime) -> Mark:
    """Say that the database is now what a backup held: rows that were published since are gone, and that is right.

    Raises `StartError`, `Unavailable`.
    """
    async with database.read() as session:
        head = (await session.scalars(select(Heads))).one()
    mark = Mark(kind="restored", seq=head.audit_seq, link=head.audit_link, at=now)
    marks.add(data, mark)
    note_aside(data, "database.restored", now=now, details={"row": str(mark.seq)})
    return mark


def _have_key(data: Path, now: datetime) -> None:
    try:
        keys.read_key(data)
    except IdentityError:
        path = data / keys.FILE
        if path.is_symlink() or path.exists():
            path.rename(path.with_name(f"{keys.FILE}.{now:%Y%m%d%H%M%S}"))
        make_secret(path, KEY_BYTES, keys.WHAT)
