"""What is to be audited and happens outside the database: membership, administration by commands, a restored backup.

It is written to a file first, whether auth and its database run or not, and taken into the log by auth within a second
or when it starts (`taking.py`). Nothing here loads a database's library: commands that note something are to end at once.
"""

import os
import uuid
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

from hyperinfer.contracts.audit import Outcome
from hyperinfer.errors import Unavailable
from hyperinfer.kernel.files import sync_folder
from hyperinfer.workers.auth.audit.texts import MAX_ACTION, cleaned, harmless

FILE = "audit.aside"
LOCK = ".audit.aside.lock"
LOCK_TIMEOUT_S = 5.0
MAX_BYTES = 4 * 1024 * 1024
"""How much may wait for auth."""


class Note(msgspec.Struct, frozen=True):
    """One operation, waiting to be a row."""

    id: str
    at: datetime
    action: str
    outcome: Outcome
    details: dict[str, str] = {}


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
        with lock(data), os.fdopen(os.open(data / FILE, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "ab") as file:
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


def lock(data: Path) -> FileLock:
    """Held while the file is written, or moved away to be taken in. Raises `Timeout` where another holds it for long."""
    return FileLock(data / LOCK, timeout=LOCK_TIMEOUT_S)
