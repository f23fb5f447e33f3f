"""What is particular to SQLite: its file, its settings, and when its transactions begin."""

import os
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from hyperinfer.errors import StartError

DRIVER = "sqlite+aiosqlite"
BUSY_TIMEOUT_S = 5.0
"""How long a connection waits for the lock of another process."""
POOL_SIZE = 5
WRITES = "hyperinfer_writes"
"""Execution option of connections whose transactions write."""


def sqlite_engine(url: URL) -> AsyncEngine:
    """An engine for the file of a URL, made if there is none. Raises `StartError` where it cannot be made."""
    _make_file(Path(str(url.database)))
    engine = create_async_engine(url, pool_size=POOL_SIZE, max_overflow=0, pool_timeout=BUSY_TIMEOUT_S)
    event.listen(engine.sync_engine, "connect", _set_up)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def _make_file(path: Path) -> None:
    """SQLite makes its further files with the rights of the first, which are the owner's alone."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise StartError(f"The database {path} cannot be opened: {error.strerror}.") from error


def _set_up(connection: Any, _record: Any) -> None:
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


def _begin(connection: Connection) -> None:
    """Who will write takes the lock at once: one who reads first and is overtaken could only fail
    (https://www.sqlite.org/lang_transaction.html)."""
    kind = "IMMEDIATE" if connection.get_execution_options().get(WRITES) else "DEFERRED"
    connection.exec_driver_sql(f"BEGIN {kind}")
