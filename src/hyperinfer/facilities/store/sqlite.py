"""What is particular to SQLite: its file, its settings, its connections, and when its transactions begin."""

import asyncio
import os
import sqlite3
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import aiosqlite
from sqlalchemy import Connection, ExceptionContext, event
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
    event.listen(engine.sync_engine, "do_connect", _connect_with_ours)
    event.listen(engine.sync_engine, "connect", _set_up)
    event.listen(engine.sync_engine, "begin", _begin)
    event.listen(engine.sync_engine, "handle_error", _keep_when_cancelled)
    return engine


def _make_file(path: Path) -> None:
    """SQLite makes its further files with the rights of the first, which are the owner's alone."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise StartError(f"The database {path} cannot be opened: {error.strerror}.") from error


# --- connections -----------------------------------------------------------------------------------------------


class _File(sqlite3.Connection):
    """Takes back what is open before it closes. SQLite itself keeps a closed connection, and its lock, for as long as
    Python keeps a statement that was not read to its end (https://www.sqlite.org/c3ref/close.html)."""

    def close(self) -> None:
        """Close, in the connection's own thread."""
        with suppress(sqlite3.Error):  # it is closed, or its file is gone
            self.rollback()
        super().close()


class _Connection(aiosqlite.Connection):
    """Stops once. The driver's `close` waits for the thread that it stops: for ever, where `stop` was called meanwhile."""

    _stopped: "asyncio.Future[Any] | None" = None

    def stop(self) -> "asyncio.Future[Any] | None":
        """Close and end the thread when it has done what it was given; the same future each time."""
        if self._stopped is None:
            self._stopped = super().stop()
        return self._stopped

    async def close(self) -> None:
        """Close; a thread that stands still is not waited for long, and ends by itself."""
        if stopped := self.stop():
            await asyncio.wait([stopped], timeout=BUSY_TIMEOUT_S)


async def _connected(path: str, **options: Any) -> aiosqlite.Connection:
    connection = _Connection(partial(sqlite3.connect, path, factory=_File, **options), iter_chunk_size=64)
    connection._thread.daemon = True  # as SQLAlchemy has it: a connection that was forgotten holds up no exit
    return await connection


def _connect_with_ours(_dialect: Any, _record: Any, _arguments: Any, options: dict[str, Any]) -> None:
    options["async_creator_fn"] = _connected


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


def _keep_when_cancelled(context: ExceptionContext) -> None:
    """Who was cancelled in the middle of a statement gives the connection back like anybody else.

    SQLAlchemy would close it, as the state of most drivers' connections is unknown then. This one's is known: its thread does
    what it is given one after the other, so that the end of the transaction comes after what was cancelled. Where the end
    itself took too long, the connection is closed.
    """
    if isinstance(context.original_exception, asyncio.CancelledError) and context.statement is not None:
        context.is_disconnect = False


# --- transactions ----------------------------------------------------------------------------------------------


def _begin(connection: Connection) -> None:
    """Who will write takes the lock at once: one who reads first and is overtaken could only fail
    (https://www.sqlite.org/lang_transaction.html)."""
    kind = "IMMEDIATE" if connection.get_execution_options().get(WRITES) else "DEFERRED"
    connection.exec_driver_sql(f"BEGIN {kind}")
