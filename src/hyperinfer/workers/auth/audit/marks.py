"""What an operator has said about the audit log: that it was begun anew, or that the database was restored.

Without that a lost key or a restored backup would look like tampering for ever after. Marks are kept in a file beside
the key, where whoever can write to the database alone cannot make one.
"""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from hyperinfer.contracts.audit import AuditHead
from hyperinfer.errors import StartError
from hyperinfer.kernel.files import write_atomic
from hyperinfer.workers.auth.audit.walk import Begin

FILE = "audit.marks"


class Mark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`restored`: the log goes back to row `seq`, and heads published before `at` for later rows do not hold.
    `restarted`: besides, rows up to `seq` are not verified; `link` is what the row after it is linked to."""

    kind: Literal["restarted", "restored"]
    seq: int
    link: str
    at: datetime


def read(data: Path) -> tuple[Mark, ...]:
    """The marks, oldest first. Raises `StartError` for a file that cannot be understood."""
    path = data / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=tuple[Mark, ...])
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise StartError(f"Cannot read {path}: {error.strerror}.") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StartError(f"{path} cannot be understood: {error}. Restore it from a backup.") from error


def add(data: Path, mark: Mark) -> None:
    """Add a mark and sync it. Raises `StartError`, `OSError`."""
    content = msgspec.json.encode([*read(data), mark])
    write_atomic(data / FILE, msgspec.json.format(content, indent=2) + b"\n", mode=0o600)


def begin(marks: Iterable[Mark]) -> Begin:
    """Where verifying begins: at the newest new beginning, or at the first row."""
    anew = [mark for mark in marks if mark.kind == "restarted"]
    return Begin(anew[-1].seq, anew[-1].link, anew[-1].at) if anew else Begin()


def is_void(head: AuditHead, marks: Iterable[Mark]) -> bool:
    """Whether a head was published before a mark that goes back behind it."""
    return any(head.at < mark.at and head.seq > mark.seq for mark in marks)
