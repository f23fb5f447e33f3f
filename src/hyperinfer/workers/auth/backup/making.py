"""Make a backup, beside an auth that runs: every row as of one moment, and the files that go with them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Table
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from hyperinfer import __version__
from hyperinfer.errors import Conflict, StartError
from hyperinfer.facilities.store.dump import columns_of, count, lines
from hyperinfer.facilities.store.engine import reading
from hyperinfer.facilities.store.failures import start_sentence
from hyperinfer.facilities.store.migrate import unhurried
from hyperinfer.kernel.paths import Paths
from hyperinfer.workers.auth.backup import belongings
from hyperinfer.workers.auth.backup.archive import Manifest, Part, TablePart, measured, pack, staging
from hyperinfer.workers.auth.backup.place import database_url, existing, require_newest
from hyperinfer.workers.auth.config import AuthSettings
from hyperinfer.workers.auth.models import Base

NOTE_EVERY_ROWS = 500

Progress = Callable[[int, int], None]
"""Told how many rows are done, of how many."""


def unseen(_done: int, _of: int) -> None:
    """Shows nothing."""


@dataclass(frozen=True, slots=True)
class Made:
    """A backup that was made, and the SHA-256 of its file."""

    file: Path
    sha256: str
    manifest: Manifest


async def make_backup(
    paths: Paths, settings: AuthSettings, target: Path, *, now: datetime, progress: Progress = unseen
) -> Made:
    """Write a backup to a new file, or to one named after the moment in a folder that is there.

    Raises `StartError` where there is no database, it is of another revision, or the file cannot be written; `Conflict` where
    there is a file already.
    """
    file = _free(target, now)
    url = database_url(paths, settings)
    with staging(file.parent) as folder:
        try:
            async with existing(paths, settings) as engine, reading(engine).connect() as connection:
                await unhurried(connection)
                revision = await require_newest(connection)
                database = engine.dialect.name
                tables = await _tables(connection, folder, progress)
            # After the rows: the file of a key is there before the database names it.
            files = [_copied(folder, name, path) for name, path in belongings.found(paths).items()]
            manifest = Manifest(
                format="hyperinfer backup 1",
                made_at=now,
                product=__version__,
                revision=revision,
                database=database,
                tables=tuple(tables),
                files=tuple(files),
            )
            return Made(file, pack(folder, manifest, file), manifest)
        except SQLAlchemyError as error:
            raise StartError(start_sentence(url, error)) from error
        except OSError as error:
            raise StartError(f"The backup {file} cannot be written: {error.strerror or error}.") from error


def _free(target: Path, now: datetime) -> Path:
    file = target / f"hyperinfer-{now:%Y%m%dT%H%M%SZ}.tar.gz" if target.is_dir() else target
    if file.exists():
        # It is seen again when the file is put there; this is to say so before the work.
        raise Conflict(f"{file} exists already; a backup never replaces a file.")
    return file


async def _tables(connection: AsyncConnection, folder: Path, progress: Progress) -> list[TablePart]:
    total, done = await count(connection, Base.metadata), 0

    async def written(of: Table) -> TablePart:
        nonlocal done
        name, rows = f"tables/{of.name}.jsonl", 0
        with measured(folder, name) as file:
            async for line in lines(connection, of):
                file.write(line)
                rows += 1
                if rows % NOTE_EVERY_ROWS == 0:
                    progress(done + rows, total)
        done += rows
        progress(done, total)
        return TablePart(
            name=name, bytes=file.bytes, sha256=file.sha256, table=str(of.name), rows=rows, columns=columns_of(of)
        )

    return [await written(of) for of in Base.metadata.sorted_tables]


def _copied(folder: Path, name: str, path: Path) -> Part:
    if path.stat().st_size > belongings.MAX_FILE_BYTES:
        raise StartError(f"{path} is larger than such a file ever is; look at it before a backup is made.")
    with measured(folder, name) as file:
        file.write(path.read_bytes())
    return Part(name=name, bytes=file.bytes, sha256=file.sha256)
