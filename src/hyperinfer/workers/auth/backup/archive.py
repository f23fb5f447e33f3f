"""The file of a backup: a compressed tar with a manifest that says what is in it, and the SHA-256 of each part.

manifest.json          what this is, from when, and the sums of all that follows
tables/<name>.jsonl    the rows of a table, parents before children
auth/…, swarm/…        files of auth's data folder and of the swarm's
"""

import gzip
import hashlib
import os
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO, Literal

import msgspec

from hyperinfer.errors import Conflict, StartError
from hyperinfer.facilities.store.dump import Column
from hyperinfer.kernel.files import sync_folder

MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 4 * 1024 * 1024
COMPRESSION = 6
BLOCK_BYTES = 1024 * 1024


class Part(msgspec.Struct, frozen=True):
    """A file in the archive."""

    name: str
    bytes: int
    sha256: str


class TablePart(Part, frozen=True):
    """The rows of a table."""

    table: str
    rows: int
    columns: tuple[Column, ...]


class Manifest(msgspec.Struct, frozen=True):
    """What a backup is. `revision` is the database's, `product` the version that wrote it."""

    format: Literal["hyperinfer backup 1"]
    made_at: datetime
    product: str
    revision: str
    database: str
    tables: tuple[TablePart, ...]
    files: tuple[Part, ...]

    @property
    def rows(self) -> int:
        """How many rows there are in all."""
        return sum(table.rows for table in self.tables)

    @property
    def parts(self) -> tuple[Part, ...]:
        """Everything but the manifest itself."""
        return (*self.tables, *self.files)


# --- writing ------------------------------------------------------------------------------------------------------


@contextmanager
def staging(beside: Path) -> Iterator[Path]:
    """A folder for the owner alone, on the disk where the result will be, gone at the end of the block."""
    try:
        folder = tempfile.TemporaryDirectory(dir=beside, prefix=".hyperinfer-", ignore_cleanup_errors=True)
    except OSError as error:
        raise StartError(f"Cannot write in {beside}: {error.strerror}.") from error
    with folder as name:
        yield Path(name)


class Measured:
    """A new file that is measured as it is written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._sum = hashlib.sha256()
        self.bytes = 0

    def write(self, content: bytes) -> None:
        """Add to it."""
        self._file.write(content)
        self._sum.update(content)
        self.bytes += len(content)

    @property
    def sha256(self) -> str:
        """The sum of what was written, in hexadecimal."""
        return self._sum.hexdigest()


@contextmanager
def measured(folder: Path, name: str) -> Iterator[Measured]:
    """A new file of a staging folder under its name in the archive."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _new(path) as file:
        yield Measured(file)


def pack(folder: Path, manifest: Manifest, target: Path) -> str:
    """Make the archive of what was staged, for its owner alone; gives its SHA-256. An existing file is never replaced.

    Raises `Conflict`, `OSError`.
    """
    (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")
    packed = folder / "packed"
    with _new(packed) as file:
        with tarfile.open(fileobj=file, mode="w:gz", compresslevel=COMPRESSION, format=tarfile.PAX_FORMAT) as archive:
            for name in (MANIFEST, *(part.name for part in manifest.parts)):
                archive.add(folder / name, name, filter=_plain)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(packed, target)  # unlike a rename, it fails where there is a file already
    except FileExistsError as error:
        raise Conflict(f"{target} exists already; a backup never replaces a file.") from error
    sync_folder(target.parent)
    with target.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _new(path: Path) -> IO[bytes]:
    """A new file for the owner alone."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.mode, member.uid, member.gid, member.uname, member.gname = 0o600, 0, 0, "", ""
    return member


# --- reading ------------------------------------------------------------------------------------------------------


class _Wrong(Exception):
    """What the archive holds is not what it says."""


UNREADABLE = (
    *(tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError),
    *(msgspec.DecodeError, UnicodeDecodeError, _Wrong),
)


def unpack(source: Path, folder: Path) -> Manifest:
    """Take an archive apart into a staging folder, every part of which is then as the manifest says.

    Raises `StartError` for what is no backup, or one that is truncated, damaged or altered.
    """
    try:
        with gzip.open(source) as content, tarfile.open(fileobj=content, mode="r:") as archive:
            manifest = _manifest(archive)
            expected = {part.name: part for part in manifest.parts}
            for member in archive:
                if member.name != MANIFEST:
                    _take(archive, member, expected.pop(member.name, None), folder)
            while content.read(BLOCK_BYTES):  # to the sum at the very end
                pass
    except FileNotFoundError as error:
        raise StartError(f"There is no file {source}.") from error
    except UNREADABLE as error:
        raise StartError(f"{source} is no whole backup of hyperinfer: {error}. Nothing was changed.") from error
    except OSError as error:
        raise StartError(f"Cannot read {source}: {error.strerror or error}.") from error
    if expected:
        raise StartError(f"{source} is no whole backup of hyperinfer: {min(expected)} is missing. Nothing was changed.")
    return manifest


def _manifest(archive: tarfile.TarFile) -> Manifest:
    first = archive.next()
    if first is None or first.name != MANIFEST or not first.isreg() or first.size > MAX_MANIFEST_BYTES:
        raise _Wrong("it does not begin with a manifest")
    file = archive.extractfile(first)
    assert file is not None
    manifest = msgspec.json.decode(file.read(), type=Manifest)
    for part in manifest.parts:
        place = PurePosixPath(part.name)
        if place.is_absolute() or ".." in place.parts or place.parts[0] not in {"tables", "auth", "swarm"}:
            raise _Wrong(f"{part.name!r} is no part of a backup")
    return manifest


def _take(archive: tarfile.TarFile, member: tarfile.TarInfo, part: Part | None, folder: Path) -> None:
    if part is None or not member.isreg() or member.size != part.bytes:
        raise _Wrong(f"{member.name!r} is not what the manifest says")
    file = archive.extractfile(member)
    assert file is not None
    with measured(folder, part.name) as target:
        while block := file.read(BLOCK_BYTES):
            target.write(block)
    if (target.bytes, target.sha256) != (part.bytes, part.sha256):
        raise _Wrong(f"{member.name!r} is damaged or was altered")
