"""What is to be audited and happens outside the database: membership, administration by commands, a restored backup.

It is written to a file first, whether auth and its database run or not, and taken into the log by auth within a second
or when it starts. A note that was taken twice by two starts is recognised by its id.
"""

import asyncio
import os
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import msgspec
import structlog
from filelock import FileLock, Timeout
from sqlalchemy import select

from hyperinfer.contracts.audit import Outcome
from hyperinfer.errors import Unavailable
from hyperinfer.kernel.files import sync_folder
from hyperinfer.workers.auth.audit.entries import MAX_ACTION, cleaned, harmless
from hyperinfer.workers.auth.change import AuthDatabase
from hyperinfer.workers.auth.models import AuditLogRow
from hyperinfer.workers.auth.origin import LOCAL, Origin

FILE = "audit.aside"
TAKEN = "audit.aside.taken"
LOCK = ".audit.aside.lock"
LOCK_TIMEOUT_S = 5.0
MAX_BYTES = 4 * 1024 * 1024
"""How much may wait for auth."""

log = structlog.get_logger(__name__)


class Note(msgspec.Struct, frozen=True):
    """One operation, waiting to be a row."""

    id: str
    at: datetime
    action: str
    outcome: Outcome
    details: dict[str, str] = {}


_decoder = msgspec.json.Decoder(Note)


def note_aside(
    data: Path, action: str, *, now: datetime, outcome: Outcome = "ok", details: Mapping[str, str] | None = None
) -> None:
    """Write down, in auth's data folder, what was done on this machine; synced when it returns.

    Raises `Unavailable` if it cannot be written, or too much waits already.
    """
    note = Note(
        id=uuid.uuid4().hex,
        at=now,
        action=harmless(action, MAX_ACTION),
        outcome=outcome,
        details=cleaned(details or {}),
    )
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _lock(data), os.fdopen(os.open(data / FILE, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "ab") as file:
            if file.tell() > MAX_BYTES:
                raise Unavailable(f"{data / FILE} is full: auth has not taken it into the audit log for long.")
            # The end of the line comes first as well: what a power cut has torn spoils itself alone.
            file.write(b"\n" + msgspec.json.encode(note) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        sync_folder(data)
    except Timeout as error:
        raise Unavailable(f"{data / FILE} is in use by another process.") from error
    except OSError as error:
        raise Unavailable(f"Cannot write {data / FILE}: {error.strerror}.") from error


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
            with _lock(data):
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
        log.error("audit_note_damaged", reason=str(error))
        return None


def _lock(data: Path) -> FileLock:
    return FileLock(data / LOCK, timeout=LOCK_TIMEOUT_S)
