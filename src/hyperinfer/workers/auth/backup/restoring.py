"""Bring a backup back, into either kind of database: all of it, or nothing."""

import os
import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, MetaData, Select, delete, inspect, literal_column, select, table, update
from sqlalchemy.engine import URL
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from hyperinfer.errors import Conflict, StartError
from hyperinfer.facilities.store import Database, file_of, opened, url_of
from hyperinfer.facilities.store.dump import load
from hyperinfer.facilities.store.engine import writing
from hyperinfer.facilities.store.failures import place, reason_of, start_sentence
from hyperinfer.facilities.store.migrate import alone, revisions, upgrade
from hyperinfer.kernel.files import sync_folder
from hyperinfer.kernel.paths import Paths, locked
from hyperinfer.workers.auth.audit.anew import restored
from hyperinfer.workers.auth.backup import belongings
from hyperinfer.workers.auth.backup.archive import Manifest, staging, unpack
from hyperinfer.workers.auth.backup.belongings import Placing, placed, set_aside
from hyperinfer.workers.auth.backup.making import Progress, unseen
from hyperinfer.workers.auth.backup.place import database_url, require_alone
from hyperinfer.workers.auth.config import AuthSettings
from hyperinfer.workers.auth.models import AuditLogRow, Base, Heads, RequestLog, User
from hyperinfer.workers.auth.store import MIGRATIONS

TABLE_NAME = re.compile(r"[a-z][a-z_]{0,62}")
PRECIOUS = (User, RequestLog, AuditLogRow)
"""A database with a row in one of these is somebody's."""
REVISIONS = "alembic_version"


@dataclass(frozen=True, slots=True)
class Restored:
    """What was brought back. `set_aside` are files of before that were kept under another name, `kept_swarm` says that
    this machine stays in the swarm that it belongs to."""

    manifest: Manifest
    set_aside: tuple[Path, ...]
    kept_swarm: bool


async def restore(
    paths: Paths,
    settings: AuthSettings,
    source: Path,
    *,
    now: datetime,
    force: bool = False,
    progress: Progress = unseen,
) -> Restored:
    """Put a backup in the place of what is here; auth must not run. Gateways read the whole directory anew afterwards.

    Without `force` nothing that is somebody's is replaced. Raises `StartError` where the backup is damaged or too new or auth
    runs, `Conflict` where something would be replaced, `ConfigError`.
    """
    with locked(paths), staging(paths.data) as folder:
        manifest = unpack(source, folder)
        _require_known(manifest, source)
        placing = belongings.plan(paths, folder, [part.name for part in manifest.files], force=force)
        filling = Filling(folder, manifest, progress)
        url = database_url(paths, settings)
        file = file_of(url)
        try:
            if file:
                aside = await _into_file(file, filling, placing, now, force=force)
            else:
                aside = await _into_server(url, filling, placing, now, force=force)
            async with opened(url) as engine:
                await restored(Database(engine), paths.data, now)
        except (IntegrityError, msgspec.DecodeError) as error:
            said = error if isinstance(error, msgspec.DecodeError) else reason_of(error)
            raise StartError(f"{source} holds rows that do not fit: {said}. Nothing was changed.") from error
        except SQLAlchemyError as error:
            raise StartError(start_sentence(url, error)) from error
    return Restored(manifest, (*placing.kept, *aside), placing.keeps_swarm)


def _require_known(manifest: Manifest, source: Path) -> None:
    if manifest.revision not in revisions(MIGRATIONS):
        raise StartError(
            f"{source} was written by a newer version of hyperinfer ({manifest.product}); restore it with that one."
        )
    for part in manifest.tables:
        if not TABLE_NAME.fullmatch(part.table) or part.table == REVISIONS:
            raise StartError(f"{source} names a table {part.table!r}, which is none of ours. Nothing was changed.")


class Filling:
    """The rows of a backup, on their way into a database."""

    def __init__(self, folder: Path, manifest: Manifest, progress: Progress) -> None:
        self._folder = folder
        self._manifest = manifest
        self._progress = progress
        self._done = 0

    async def fill(self, connection: AsyncConnection) -> None:
        """Make the tables as they were, put the rows into them, and bring all that up to date."""
        self._done = 0
        await upgrade(connection, MIGRATIONS, self._manifest.revision)
        for part in reversed(self._manifest.tables):  # what the migrations themselves have put there
            await connection.execute(delete(table(part.table)))
        for part in self._manifest.tables:
            with (self._folder / part.name).open("rb") as lines:
                await load(connection, part.table, part.columns, lines, counted=self._count)
        await upgrade(connection, MIGRATIONS)
        # Whoever has read the directory from what was here before must not take the numbers for its own.
        await connection.execute(update(Heads).values(directory_id=secrets.token_hex(16)))

    def _count(self, rows: int) -> None:
        self._done += rows
        self._progress(self._done, self._manifest.rows)


# --- SQLite: a new file, which takes the place of the old one -----------------------------------------------------


async def _into_file(file: Path, filling: Filling, placing: Placing, now: datetime, *, force: bool) -> list[Path]:
    is_precious = await _is_precious_file(file)
    if is_precious and not force:
        raise Conflict(_occupied(str(file)))
    building = file.with_name(f".{file.name}.restoring")
    for part in _files_of(building):
        part.unlink(missing_ok=True)
    try:
        async with opened(url_of(None, default=building)) as engine, writing(engine).begin() as connection:
            await filling.fill(connection)
        with placed(placing, now):
            aside = _swap(building, file, now, keep=is_precious)
    finally:
        for part in _files_of(building):
            part.unlink(missing_ok=True)
    return aside


async def _is_precious_file(file: Path) -> bool:
    if not _files_of(file, there=True):
        return False
    try:
        async with opened(url_of(None, default=file)) as engine, engine.connect() as connection:
            return await _is_precious(connection)
    except SQLAlchemyError:
        return True  # damaged, and perhaps not beyond rescue


def _files_of(database: Path, *, there: bool = False) -> list[Path]:
    """The file of a database and its further ones; on request only those that exist."""
    files = [database.with_name(f"{database.name}{end}") for end in ("", "-wal", "-shm")]
    return [file for file in files if os.path.lexists(file)] if there else files


def _swap(building: Path, file: Path, now: datetime, *, keep: bool) -> list[Path]:
    """Put a new database in the place of the old one, which is kept or removed; gives what was kept."""
    moved = _take_away(file, now) if keep else []
    if not keep:
        for part in reversed(_files_of(file)):
            part.unlink(missing_ok=True)
    try:
        building.rename(file)
        sync_folder(file.parent)
    except OSError:
        file.unlink(missing_ok=True)
        for old, kept in moved:
            kept.rename(old)
        raise
    return [kept for _, kept in moved]


def _take_away(file: Path, now: datetime) -> list[tuple[Path, Path]]:
    """Keep a database under another name, with its further files, which are found by that name."""
    aside = set_aside(file, now)
    moved = [(file, aside)]
    for old, new in zip(_files_of(file)[1:], _files_of(aside)[1:], strict=True):
        if old.exists():
            old.rename(new)
            moved.append((old, new))
    return moved


# --- PostgreSQL: one transaction ----------------------------------------------------------------------------------


async def _into_server(url: URL, filling: Filling, placing: Placing, now: datetime, *, force: bool) -> list[Path]:
    async with opened(url) as engine, writing(engine).connect() as connection:
        await require_alone(connection)
        await alone(connection)
        if await _is_precious(connection) and not force:
            raise Conflict(_occupied(f"{url.database} at {place(url)}"))
        await connection.run_sync(_drop)
        await filling.fill(connection)
        with placed(placing, now):
            await connection.commit()
    return []


def _drop(connection: Connection) -> None:
    """Remove our tables, and no others."""
    ours = {*Base.metadata.tables, REVISIONS} & set(inspect(connection).get_table_names())
    there = MetaData()
    there.reflect(connection, only=sorted(ours))
    there.drop_all(connection)


async def _is_precious(connection: AsyncConnection) -> bool:
    there = set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))
    for model in PRECIOUS:
        if model.__tablename__ in there:
            wanted: Select[Any] = select(literal_column("1")).select_from(table(model.__tablename__)).limit(1)
            if await connection.scalar(wanted) is not None:
                return True
    return False


def _occupied(where: str) -> str:
    return f"The database {where} is not empty. With --force the backup takes its place."
