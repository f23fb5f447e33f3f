"""Open a database: SQLite in a file by default, PostgreSQL where its URL is given."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine

from hyperinfer.errors import ConfigError
from hyperinfer.facilities.store import postgres, sqlite
from hyperinfer.facilities.tasks import Endings

DRIVERS = {"sqlite": sqlite.DRIVER, "postgresql": postgres.DRIVER, "postgres": postgres.DRIVER}
ENDINGS = "hyperinfer_endings"
"""Execution option of an engine: the ends of its transactions."""
EXAMPLES = "sqlite:////var/lib/auth.sqlite or postgresql://user:password@host/database"


def url_of(configured: str | None, *, default: Path) -> URL:
    """The URL to open: the one configured, with the driver that we ship for it, or SQLite in the default file.

    Raises `ConfigError` for a URL that cannot be understood or a database that is not supported.
    """
    if not configured:
        return URL.create(DRIVERS["sqlite"], database=str(default))
    return _understood(configured, "database_url")


def replica_url_of(configured: str | None) -> URL | None:
    """The URL of a read replica; nothing where none is configured. Raises `ConfigError` for what cannot be one."""
    if not configured:
        return None
    url = _understood(configured, "database_read_url")
    if url.drivername != postgres.DRIVER:
        raise ConfigError("database_read_url names no PostgreSQL; nothing else has replicas.")
    return url


def _understood(configured: str, name: str) -> URL:
    try:
        url = make_url(configured)
    except (ArgumentError, ValueError):
        # Without the cause, which may quote a part of the password.
        raise ConfigError(
            f"{name} is not a database URL, such as {EXAMPLES}. In a password, @ is written %40, : is %3A and / is %2F."
        ) from None
    kind = url.get_backend_name()
    if kind not in DRIVERS:
        raise ConfigError(f"{name} names {kind}; supported are SQLite and PostgreSQL, such as {EXAMPLES}.")
    if kind == "sqlite" and url.database in (None, "", ":memory:"):
        raise ConfigError(f"{name} names SQLite without a file; what is kept in memory alone would be lost.")
    if kind != "sqlite" and not url.database:
        raise ConfigError(f"{name} names a server without a database on it: postgresql://user:password@host/database.")
    return url.set(drivername=DRIVERS[kind])


def file_of(url: URL) -> Path | None:
    """The file of a SQLite database; nothing for another kind."""
    return Path(str(url.database)) if url.get_backend_name() == "sqlite" else None


@asynccontextmanager
async def opened(url: URL) -> AsyncIterator[AsyncEngine]:
    """An engine for the length of the block. Raises `StartError` where the file of a SQLite database cannot be made."""
    engine = sqlite.sqlite_engine(url) if file_of(url) else postgres.postgres_engine(url)
    endings = Endings()
    try:
        yield engine.execution_options(**{ENDINGS: endings})
    finally:
        try:
            await endings.wait()
        finally:
            await engine.dispose()


def endings_of(bind: Engine | Connection) -> Endings:
    """Where the transactions of an opened engine come to their end; it waits for them before it closes."""
    endings: Endings = bind.get_execution_options()[ENDINGS]
    return endings


def is_sqlite(engine: AsyncEngine) -> bool:
    """Whether the database is SQLite."""
    return bool(engine.dialect.name == "sqlite")


def reading(engine: AsyncEngine) -> AsyncEngine:
    """The same engine for transactions that read, all of one view."""
    return engine if is_sqlite(engine) else engine.execution_options(**postgres.READS)


def writing(engine: AsyncEngine) -> AsyncEngine:
    """The same engine for transactions that write."""
    options = {sqlite.WRITES: True} if is_sqlite(engine) else postgres.WRITES
    return engine.execution_options(**options)
