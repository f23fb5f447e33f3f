"""Transactions on a database: short ones that read, and ones that write, first come first served."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import structlog
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from hyperinfer.errors import Unavailable
from hyperinfer.facilities.store.engine import writing

log = structlog.get_logger(__name__)

WRITE_WAIT_S = 5.0
"""How long a transaction that writes waits for its turn."""


class Database:
    """Gives out sessions. What a `write` block has left without an error is synced to the disk.

    Both raise `Unavailable` where the database cannot be used now, and let `IntegrityError` pass: it is an answer.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._readers = async_sessionmaker(engine, expire_on_commit=False)
        self._writers = async_sessionmaker(writing(engine), expire_on_commit=False)
        # SQLite has one writer at a time, and lets those who wait find out by trying; here they stand in line.
        self._turn: asyncio.Lock | None = asyncio.Lock() if engine.dialect.name == "sqlite" else None

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A session on one consistent view."""
        with _usable():
            async with self._readers() as session:
                yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        """A session that commits at the end of the block; an error in it takes everything back."""
        async with self._own_turn():
            with _usable():
                async with self._writers.begin() as session:
                    yield session

    @asynccontextmanager
    async def _own_turn(self) -> AsyncIterator[None]:
        if self._turn is None:
            yield
            return
        try:
            async with asyncio.timeout(WRITE_WAIT_S):
                await self._turn.acquire()
        except TimeoutError as error:
            raise Unavailable("Too much is being written at once; try again shortly.", retry_after_s=1) from error
        try:
            yield
        finally:
            self._turn.release()


@contextmanager
def _usable() -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise
    except (DBAPIError, NoConnection) as error:
        # The driver's own words say what is wrong (disk full, locked, damaged); the statement's values stay out.
        reason = str(error.orig) if isinstance(error, DBAPIError) else "no connection became free in time"
        log.error("database_failed", reason=reason)
        raise Unavailable("The database cannot be used now; the operator's log says why.", retry_after_s=2) from error
