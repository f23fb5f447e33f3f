"""Bring a database to the newest revision, by the Alembic scripts of the package that owns it."""

import asyncio
from asyncio import AbstractEventLoop
from pathlib import Path
from weakref import WeakKeyDictionary

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import ResolutionError
from alembic.util import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hyperinfer.errors import StartError
from hyperinfer.facilities.store.engine import writing
from hyperinfer.facilities.store.failures import start_sentence

DEADLINE_S = 120.0
TURN = 0x6879_7065_7269_6E66
"""The number under which those who migrate one PostgreSQL database stand in line: "hyperinf"."""

# Alembic keeps what it is doing in the module, so an event loop migrates one database at a time. Between processes the
# database itself is the lock: it is taken before the revision is read.
_turns: WeakKeyDictionary[AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


async def migrate(engine: AsyncEngine, scripts: Path, *, revision: str = "head") -> None:
    """Upgrade a database, wholly or not at all.

    Raises `StartError` if it cannot be opened or was written by a newer version.
    """
    turn = _turns.setdefault(asyncio.get_running_loop(), asyncio.Lock())
    try:
        async with asyncio.timeout(DEADLINE_S), turn, writing(engine).begin() as connection:
            await alone(connection)
            await upgrade(connection, scripts, revision)
    except SQLAlchemyError as error:
        raise StartError(start_sentence(engine.url, error)) from error
    except TimeoutError as error:
        raise StartError(f"The database could not be upgraded within {DEADLINE_S:.0f} s.") from error


async def alone(connection: AsyncConnection) -> None:
    """Within a transaction, wait until no other process migrates, and lift the time limits of ordinary ones.

    SQLite's transactions that write are alone by themselves.
    """
    await unhurried(connection)
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SELECT pg_advisory_xact_lock(:turn)"), {"turn": TURN})


async def unhurried(connection: AsyncConnection) -> None:
    """Within a transaction, lift the time limits of ordinary ones."""
    if connection.dialect.name == "postgresql":
        for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
            await connection.execute(text(f"SET LOCAL {name} = 0"))


async def upgrade(connection: AsyncConnection, scripts: Path, revision: str = "head") -> None:
    """The same within a transaction under way, which has been waited for. Raises `StartError`, `SQLAlchemyError`."""
    try:
        await connection.run_sync(_upgrade, scripts, revision)
    except CommandError as error:
        if isinstance(error.__cause__, ResolutionError):
            raise StartError(f"The database was written by a newer version of hyperinfer: {error}.") from error
        raise StartError(f"The database cannot be upgraded: {error}.") from error


async def revision_of(connection: AsyncConnection) -> str | None:
    """The revision that a database is at; nothing for one that has none of our tables."""
    return await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())


def newest_revision(scripts: Path) -> str:
    """The revision that this version of the product works with."""
    return str(ScriptDirectory.from_config(_config(scripts)).get_current_head())


def revisions(scripts: Path) -> list[str]:
    """All revisions, oldest first."""
    return [script.revision for script in ScriptDirectory.from_config(_config(scripts)).walk_revisions()][::-1]


def _upgrade(connection: Connection, scripts: Path, revision: str) -> None:
    config = _config(scripts)
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _config(scripts: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    return config
