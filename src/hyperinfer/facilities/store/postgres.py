"""What is particular to PostgreSQL: its connections, their time limits, and how it reads and writes.

A URL is understood as `psql` understands it: `?sslmode=verify-full&sslrootcert=…`, `?host=/run/postgresql`, and any setting
of the server, such as `?statement_timeout=30s`, which then holds instead of the one below.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi as Dbapi
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

DRIVER = "postgresql+asyncpg"
CONNECT_TIMEOUT_S = 5.0
"""How long connecting may take, and how long a server that is still starting is waited for."""
STARTING_WAIT_S = 0.1
POOL_SIZE = 10
POOL_TIMEOUT_S = 5.0
"""How long a transaction waits for a connection."""
RECYCLE_S = 1800
APPLICATION = "hyperinfer"
"""What the server calls our sessions."""

LIMITS = {
    "application_name": APPLICATION,
    "timezone": "UTC",
    "lock_timeout": "5s",
    "statement_timeout": "15s",
    # A process that stands still in the middle of a change must not hold up the others for ever.
    "idle_in_transaction_session_timeout": "60s",
}
"""Settings of our sessions, where the URL does not say otherwise."""

READS = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
"""One view for all statements of a transaction, as SQLite gives it."""
WRITES = {"isolation_level": "READ COMMITTED", "postgresql_readonly": False}
"""Every statement sees what was committed before it, so that a lock that was waited for shows the newest row."""


def postgres_engine(url: URL) -> AsyncEngine:
    """An engine for a URL; nothing is connected yet."""
    return create_async_engine(
        url,
        async_creator=_connecting(url),
        pool_size=POOL_SIZE,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_S,
        pool_recycle=RECYCLE_S,
        pool_pre_ping=True,  # a connection that the server or the network has ended is found before it is lent
    )


def _connecting(url: URL) -> Callable[[], Awaitable[Any]]:
    dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
    settings = {name: value for name, value in LIMITS.items() if name not in url.query}

    async def connect() -> Any:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                return await _connected(dsn, settings)
        except (OSError, ValueError) as error:
            # As every other failure of the database; the driver gives these as they come.
            raise Dbapi.OperationalError(str(error) or "no answer in time", error) from error  # type: ignore[no-untyped-call]

    return connect


async def _connected(dsn: str, settings: dict[str, str]) -> Any:
    while True:
        try:
            return await asyncpg.connect(dsn, server_settings=settings, timeout=CONNECT_TIMEOUT_S)
        except asyncpg.CannotConnectNowError:  # it is starting, or being taken over
            await asyncio.sleep(STARTING_WAIT_S)
