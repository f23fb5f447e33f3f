"""Open a database: SQLite in a file by default."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from hyperinfer.errors import ConfigError, StartError

BUSY_TIMEOUT_S = 5.0
"""How long a connection waits for the lock of another process."""
POOL_SIZE = 5
DRIVERS = {"sqlite": "sqlite+aiosqlite"}
WRITES = "hyperinfer_writes"
"""Execution option of connections whose transactions write."""


def url_of(configured: str | None, *, default: Path) -> URL:
    """The URL to open: the one configured, with the driver that we ship for it, or SQLite in the default file.

    Raises `ConfigError` for a URL that cannot be understood or a database that is not supported.
    """
    if not configured:
        return URL.create(DRIVERS["sqlite"], database=str(default))
    try:
        url = make_url(configured)
    except ArgumentError as error:
        raise ConfigError("database_url is not a database URL, such as sqlite:////var/lib/auth.sqlite.") from error
    kind = url.get_backend_name()
    if kind not in DRIVERS:
        raise ConfigError(f"database_url names {kind}; supported are: {', '.join(DRIVERS)}.")
    if kind == "sqlite" and url.database in (None, "", ":memory:"):
        raise ConfigError("database_url names SQLite without a file; what is kept in memory alone would be lost.")
    return url.set(drivername=DRIVERS[kind])


@asynccontextmanager
async def opened(url: URL) -> AsyncIterator[AsyncEngine]:
    """An engine for the length of the block. Raises `StartError` where the file of the database cannot be made."""
    engine = create_async_engine(url, pool_size=POOL_SIZE, max_overflow=0, pool_timeout=BUSY_TIMEOUT_S)
    if engine.dialect.name == "sqlite":
        _make_file(Path(str(url.database)))
        event.listen(engine.sync_engine, "connect", _set_up_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
    try:
        yield engine
    finally:
        await engine.dispose()


def writing(engine: AsyncEngine) -> AsyncEngine:
    """The same engine for transactions that write."""
    return engine.execution_options(**{WRITES: True})


def _make_file(path: Path) -> None:
    """SQLite makes its further files with the rights of the first, which are the owner's alone."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise StartError(f"The database {path} cannot be opened: {error.strerror}.") from error


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    """Write-ahead log, so that readers never wait; full sync, so that what is acknowledged survives a power cut."""
    connection.isolation_level = None  # transactions begin where we say, below, not where Python's module guesses
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    """Who will write takes the lock at once: one who reads first and is overtaken could only fail
    (https://www.sqlite.org/lang_transaction.html)."""
    kind = "IMMEDIATE" if connection.get_execution_options().get(WRITES) else "DEFERRED"
    connection.exec_driver_sql(f"BEGIN {kind}")
