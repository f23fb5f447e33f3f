"""Heads of the audit log that have been published: with them a log that was cut off at its end is found.

They are kept in a file beside the key, and go to every member with the member list. Whoever can write to the database
alone can take neither back.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec
from sqlalchemy import select

from hyperinfer.contracts.audit import AuditHead
from hyperinfer.errors import StartError
from hyperinfer.kernel.files import sync_folder, write_atomic
from hyperinfer.workers.auth.audit import marks
from hyperinfer.workers.auth.audit.marks import Mark
from hyperinfer.workers.auth.audit.reading import Readable
from hyperinfer.workers.auth.models import AuditLogRow, Heads

FILE = "audit.heads"
KEPT = 10_000
"""Heads in the file; older ones prove nothing that the newest does not."""
SPARE = 1_000
"""How many more there may be before the file is written anew."""

_decoder = msgspec.json.Decoder(AuditHead)


@dataclass(frozen=True, slots=True)
class Published:
    """The heads in the file, oldest first, and how many of its lines cannot be understood."""

    heads: tuple[AuditHead, ...] = ()
    damaged: int = 0


async def newest(database: Readable, now: datetime) -> AuditHead | None:
    """The head of the log as it is now; nothing for an empty log. Raises `Unavailable`."""
    async with database.read() as session:
        heads = (await session.scalars(select(Heads))).one()
    return AuditHead(seq=heads.audit_seq, link=heads.audit_link, at=now) if heads.audit_seq else None


async def is_held(database: Readable, head: AuditHead) -> bool:
    """Whether the log still has the row that a head names. Raises `Unavailable`."""
    async with database.read() as session:
        return await session.scalar(select(AuditLogRow.link).where(AuditLogRow.seq == head.seq)) == head.link


def read(data: Path) -> Published:
    """What has been published. A last line that a power cut has torn counts for nothing. Raises `StartError`."""
    try:
        content = (data / FILE).read_bytes()
    except FileNotFoundError:
        return Published()
    except OSError as error:
        raise StartError(f"Cannot read {data / FILE}: {error.strerror}.") from error
    heads = [_head(line) for line in content.split(b"\n")[:-1]]
    return Published(tuple(head for head in heads if head), heads.count(None))


def standing(heads: Iterable[AuditHead], known: Sequence[Mark]) -> tuple[AuditHead, ...]:
    """The heads that still hold: an operator who has restored the database or begun the log anew has said which do not."""
    begin = marks.begin(known)
    return tuple(head for head in heads if head.seq > begin.seq and not marks.is_void(head, known))


def append(data: Path, head: AuditHead) -> None:
    """Add a head and sync it. One process at a time. Raises `OSError`."""
    line = msgspec.json.encode(head) + b"\n"
    with os.fdopen(os.open(data / FILE, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
        lines = file.read().splitlines(keepends=True)
        if lines and not lines[-1].endswith(b"\n"):
            lines.pop()  # torn by a power cut
        if len(lines) < KEPT + SPARE:
            file.seek(sum(map(len, lines)))
            file.truncate()
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
            lines = []
    if lines:
        write_atomic(data / FILE, b"".join([*lines[1 - KEPT :], line]), mode=0o600)
    else:
        sync_folder(data)


def _head(line: bytes) -> AuditHead | None:
    try:
        return _decoder.decode(line)
    except msgspec.DecodeError:
        return None
