"""Verifying the audit log: page by page, beside an auth that may be writing to it."""

from collections.abc import Callable, Sequence

from sqlalchemy import func, select

from hyperinfer.contracts.audit import AuditHead
from hyperinfer.workers.auth.audit.entries import entry_in
from hyperinfer.workers.auth.audit.reading import Readable
from hyperinfer.workers.auth.audit.walk import Begin, End, Verdict, Walk
from hyperinfer.workers.auth.models import AuditLogRow, Heads

PAGE = 1000

Progress = Callable[[int, int], None]
"""Told how many rows have been looked at, of how many."""


def unseen(_done: int, _of: int) -> None:
    """Shows nothing."""


async def verify(
    database: Readable,
    key: bytes,
    *,
    heads: Sequence[AuditHead] = (),
    begin: Begin | None = None,
    progress: Progress = unseen,
) -> Verdict:
    """Follow the chain from `begin`, or the first row, to the row that is the newest now; rows of later are left out.

    `heads` have been published before this is called. Raises `Unavailable` where the database cannot be used.
    """
    end = await _end(database)
    walk = Walk(key, begin=begin or Begin(), heads=heads)
    count = max(0, end.last - walk.last)
    while walk.last < end.last:
        wanted = select(AuditLogRow).where(AuditLogRow.seq > walk.last, AuditLogRow.seq <= end.last)
        async with database.read() as session:
            rows = (await session.scalars(wanted.order_by(AuditLogRow.seq).limit(PAGE))).all()
        for row in rows:
            walk.take(entry_in(row), row.link)
        if not rows:  # removed while we looked
            break
        progress(count - (end.last - walk.last), count)
    return walk.end(end)


async def _end(database: Readable) -> End:
    """Both ends as of one moment: a single statement sees a single state, whatever is being written."""
    rows = select(func.coalesce(func.max(AuditLogRow.seq), 0)).scalar_subquery()
    async with database.read() as session:
        seq, link, last = (await session.execute(select(Heads.audit_seq, Heads.audit_link, rows))).one()
    return End(seq=seq, link=link, last=last)
