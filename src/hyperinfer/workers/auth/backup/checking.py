"""Look auth's database and secrets over, changing nothing, beside an auth that runs."""

import os
import stat
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, ForeignKey, exists, func, not_, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from hyperinfer.errors import HyperinferError, IdentityError
from hyperinfer.facilities.store.engine import file_of, reading
from hyperinfer.facilities.store.failures import start_sentence
from hyperinfer.facilities.store.migrate import unhurried
from hyperinfer.kernel import swarm as swarms
from hyperinfer.kernel.files import read_secret
from hyperinfer.kernel.identity import SEED_BYTES
from hyperinfer.kernel.paths import Paths
from hyperinfer.workers.auth.audit.chain import KEY_BYTES
from hyperinfer.workers.auth.audit.key import FILE as AUDIT_KEY
from hyperinfer.workers.auth.backup.belongings import IDENTITY
from hyperinfer.workers.auth.backup.place import database_url, existing, require_newest
from hyperinfer.workers.auth.config import AuthSettings
from hyperinfer.workers.auth.models import Base, DirectoryRow, Heads, SigningKeyRow
from hyperinfer.workers.auth.signing import FOLDER as SIGNING

MAX_SAID = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; without `problem` it is as it should be."""

    what: str
    problem: str = ""


async def check(paths: Paths, settings: AuthSettings) -> list[Finding]:
    """Everything that was looked at. Raises `ConfigError`."""
    found = [one async for one in _database(paths, settings)]
    return [*found, *_files(paths, settings)]


# --- the database ---------------------------------------------------------------------------------------------------


async def _database(paths: Paths, settings: AuthSettings) -> AsyncIterator[Finding]:
    url = database_url(paths, settings)
    try:
        async with existing(paths, settings) as engine, reading(engine).connect() as connection:
            yield Finding("database opens")
            await unhurried(connection)
            revision = await require_newest(connection)
            yield Finding(f"revision {revision}")
            yield Finding("tables", await _tables(connection))
            yield Finding("pages and indexes", await _integrity(connection))
            yield Finding("references", await _references(connection))
            yield Finding("directory", await _directory(connection))
            yield Finding("signing keys", await _signing_keys(connection, paths.data / SIGNING))
    except HyperinferError as error:
        yield Finding("database", error.message)
    except SQLAlchemyError as error:
        yield Finding("database", start_sentence(url, error))


async def _tables(connection: AsyncConnection) -> str:
    def differing(sync: Connection) -> list[object]:
        opts = {"compare_type": True, "include_name": _is_ours}
        return list(compare_metadata(MigrationContext.configure(sync, opts=opts), Base.metadata))

    different = await connection.run_sync(differing)
    return f"The tables are not as migrations make them: {len(different)} differences." if different else ""


def _is_ours(name: str | None, kind: str, _parents: object) -> bool:
    return kind != "table" or name in Base.metadata.tables


async def _integrity(connection: AsyncConnection) -> str:
    """SQLite says itself what is damaged; PostgreSQL looks after its own pages."""
    if connection.dialect.name != "sqlite":
        return ""
    said = [str(row[0]) for row in await connection.execute(text("PRAGMA integrity_check"))]
    return "" if said == ["ok"] else f"The file is damaged: {'; '.join(said[:MAX_SAID])}. Restore a backup."


async def _references(connection: AsyncConnection) -> str:
    keys = [key for of in Base.metadata.sorted_tables for key in of.foreign_keys]
    dangling = [(key, await _dangling(connection, key)) for key in keys]
    return " ".join(
        f"{rows} rows of {key.parent.table.name} name a {key.column.table.name} row that is not there."
        for key, rows in dangling
        if rows
    )


async def _dangling(connection: AsyncConnection, key: ForeignKey) -> int:
    child, parent = key.parent, key.column
    missing = not_(exists().where(parent == child))
    return (
        await connection.scalar(select(func.count()).select_from(child.table).where(child.is_not(None), missing)) or 0
    )


async def _directory(connection: AsyncConnection) -> str:
    heads = (await connection.execute(select(Heads.__table__))).all()
    if len(heads) != 1:
        return f"The table heads has {len(heads)} rows instead of one."
    newest = await connection.scalar(select(func.max(DirectoryRow.seq))) or 0
    if newest > heads[0].directory_seq:
        return "The directory holds a change that its head does not know of; gateways may have missed it."
    return ""


async def _signing_keys(connection: AsyncConnection, folder: Path) -> str:
    current = await connection.execute(select(SigningKeyRow.__table__).where(SigningKeyRow.retired_at.is_(None)))
    for row in current:
        path = folder / f"{row.id}.key"
        if not path.exists():
            return (
                f"The signing key {path} is missing: at the next start another is made, and all have to log in again."
            )
        try:
            seed = read_secret(path, SEED_BYTES, "signing key")
        except IdentityError as error:
            return error.message
        if Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw().hex() != row.public_key:
            return f"The signing key {path} is not the one that the database names."
    return ""


# --- the files ------------------------------------------------------------------------------------------------------


def _files(paths: Paths, settings: AuthSettings) -> Iterator[Finding]:
    for path, size_bytes, what in (
        (paths.data / IDENTITY, SEED_BYTES, "identity"),
        (paths.data / AUDIT_KEY, KEY_BYTES, "audit key"),
        (paths.swarm / swarms.SWARM_KEY_FILE, swarms.KEY_BYTES, "swarm key"),
        (paths.swarm / swarms.ROOT_KEY_FILE, swarms.KEY_BYTES, "root key"),
    ):
        if os.path.lexists(path):
            yield Finding(what, _secret(path, size_bytes, what))
    private = [paths.data, paths.swarm, paths.data / SIGNING]
    database = file_of(database_url(paths, settings))
    private += [database] if database else []
    open_to_others = [path for path in private if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077]
    said = ", ".join(map(str, open_to_others))
    yield Finding("owner alone", f"Others may look into {said}; run: chmod go= {said}" if said else "")


def _secret(path: Path, size_bytes: int, what: str) -> str:
    try:
        read_secret(path, size_bytes, what)
    except IdentityError as error:
        return error.message
    return ""
