"""Open a database: SQLite in a file by default."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from hyperinfer.errors import ConfigError

BUSY_TIMEOUT_MS = 5000
DRIVERS = {"sqlite": "sqlite+aiosqlite"}


def url_of(configured: str | None, *, default: Path) -> str:
    """The URL to open: the one configured, with the driver that we ship for it, or SQLite in the default file.

    Raises `ConfigError` for a URL that cannot be understood or a database that is not supported.
    """
    if not configured:
        return f"{DRIVERS['sqlite']}:///{default}"
    try:
        url = make_url(configured)
    except ArgumentError as error:
        raise ConfigError("database_url is not a database URL, such as sqlite:////var/lib/auth.sqlite.") from error
    driver = DRIVERS.get(url.get_backend_name())
    if driver is None:
        raise ConfigError(f"database_url names {url.get_backend_name()}; supported are {', '.join(DRIVERS)}.")
    return url.set(drivername=driver).render_as_string(hide_password=False)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[AsyncEngine]:
    """An engine for the length of the block."""
    engine = create_async_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _set_up_sqlite)
    try:
        yield engine
    finally:
        await engine.dispose()


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    """Write-ahead log, so that readers never wait; full sync, so that what is acknowledged survives a power cut."""
    cursor = connection.cursor()
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
        "foreign_keys = ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
