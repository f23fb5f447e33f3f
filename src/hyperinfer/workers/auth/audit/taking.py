"""What was noted aside becomes rows of the audit log, once each.

A note that was taken twice by two starts is recognised by its id.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec
import structlog
from filelock import Timeout
from sqlalchemy import select

from hyperinfer.errors import Unavailable
from hyperinfer.workers.auth.audit.aside import FILE, Note, lock
from hyperinfer.workers.auth.change import AuthDatabase
from hyperinfer.workers.auth.models import AuditLogRow
from hyperinfer.workers.auth.origin import LOCAL, Origin

TAKEN = "audit.aside.taken"

log = structlog.get_logger(__name__)
_decoder = msgspec.json.Decoder(Note)


async def take_in(database: AuthDatabase, data: Path) -> int:
    """Make rows of what was noted aside, in its order; says how many. One process at a time.

    Raises `Unavailable` where the database or the file cannot be used now; nothing is lost then.
    """
    taken = 0
    # What was left by a process that was killed comes before what was noted since.
    for again in (True, False):
        notes = await asyncio.to_thread(_take, data, again=again)
        if notes:
            await _write(database, notes, again=again)
        await asyncio.to_thread(_done, data)
        taken += len(notes)
    return taken


def _take(data: Path, *, again: bool) -> Sequence[Note]:
    try:
        if not again:
            with lock(data):
                (data / FILE).rename(data / TAKEN)
        content = (data / TAKEN).read_bytes()
    except FileNotFoundError:
        return ()
    except Timeout as error:
        raise Unavailable(f"{data / FILE} is in use by another process.") from error
    except OSError as error:
        raise Unavailable(f"Cannot read {data / FILE}: {error.strerror}.") from error
    return [note for line in content.splitlines() if line and (note := _note(line))]


def _done(data: Path) -> None:
    try:
        (data / TAKEN).unlink(missing_ok=True)
    except OSError as error:
        raise Unavailable(f"Cannot remove {data / TAKEN}: {error.strerror}.") from error


async def _write(database: AuthDatabase, notes: Sequence[Note], *, again: bool) -> None:
    async with database.change() as change:
        known: set[str | None] = set()
        if again:
            wanted = select(AuditLogRow.request_id).where(
                # The rows that these notes have become keep the notes' times, so that few are looked at.
                AuditLogRow.at.between(min(note.at for note in notes), max(note.at for note in notes)),
                AuditLogRow.gateway == LOCAL.gateway,
            )
            known = set(await change.session.scalars(wanted))
        for note in notes:
            if note.id not in known:
                change.origin = Origin(request_id=note.id)
                await change.audit(note.action, outcome=note.outcome, details=note.details, at=note.at)


def _note(line: bytes) -> Note | None:
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        log.error("audit_note_damaged", error=error)
        return None
