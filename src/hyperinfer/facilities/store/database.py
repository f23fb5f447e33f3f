"""Transactions on a database: short ones that read, and ones that write, first come first served.

Whoever is cancelled in the middle of one goes at once. The transaction is taken back, or committed if that had begun, behind
him: its end is a task of its own, which takes a bounded time, and for which the engine waits before it closes.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import structlog
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from hyperinfer.errors import Unavailable
from hyperinfer.facilities.store.engine import endings_of, is_sqlite, reading, writing
from hyperinfer.facilities.store.failures import LATER_S, SOON_S, failed, is_overtaken, reason_of

log = structlog.get_logger(__name__)

WRITE_WAIT_S = 5.0
"""How long a transaction that writes waits for its turn, on SQLite."""
TRANSACTION_S = 30.0
"""How long a transaction may take from its first statement to its end; it is taken back then."""
CLOSE_S = 5.0
"""How long taking back may take; the connection is given up then."""
REPLICA_PAUSE_S = 30.0
"""How long a replica that failed is left alone."""


def _nothing() -> None:
    """Nothing comes after."""


class Database:
    """Gives out sessions. What a `write` block has left without an error is synced to the disk.

    All raise `Unavailable` where the database cannot be used now, let `IntegrityError` pass, which is an answer, and raise
    `BadRequest` for a value that the database cannot hold. After `Unavailable` from the end of a `write` block nobody knows
    whether it was committed: what may be done once only needs a key that a second try would repeat.
    """

    def __init__(self, engine: AsyncEngine, *, replica: AsyncEngine | None = None) -> None:
        self._readers = async_sessionmaker(reading(engine), expire_on_commit=False)
        self._writers = async_sessionmaker(writing(engine), expire_on_commit=False)
        self._replicas = async_sessionmaker(reading(replica), expire_on_commit=False) if replica else None
        self._replica_from = 0.0
        # SQLite has one writer at a time, and lets those who wait find out by trying; here they stand in line.
        self._turn: asyncio.Lock | None = asyncio.Lock() if is_sqlite(engine) else None

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A session on one consistent view."""
        async with _usable(), self._transaction(self._readers(), _closed) as session:
            yield session

    @asynccontextmanager
    async def read_replica(self) -> AsyncIterator[AsyncSession]:
        """The same from the replica, which may be behind by what it has not received yet: for reports, not for decisions.

        Without a replica, or while it cannot be reached, it is the database itself.
        """
        async with AsyncExitStack() as stack:
            session = await self._from_replica(stack)
            if session is None:
                session = await stack.enter_async_context(self.read())
            yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        """A session that commits at the end of the block; an error in it takes everything back.

        On SQLite those who write take turns. On PostgreSQL they do not: between two statements others commit, and a row that
        was read may be another by the time it is written. What a change depends on must therefore be locked as it is read
        (`with_for_update`), or be one row that all such changes lock first, and what must be unique needs a constraint.
        """
        await self._own_turn()
        async with _usable(), self._transaction(self._writers(), _committed, after=self._turn_over) as session:
            yield session

    @asynccontextmanager
    async def _transaction(
        self,
        session: AsyncSession,
        last: Callable[[AsyncSession], Awaitable[None]],
        *,
        after: Callable[[], None] = _nothing,
    ) -> AsyncIterator[AsyncSession]:
        """A session, and its end: `last` if the block leaves no error, otherwise it is closed; `after` it is gone."""
        endings = endings_of(session.get_bind())

        async def end(how: Callable[[AsyncSession], Awaitable[None]]) -> None:
            try:
                await how(session)
            finally:
                after()

        try:
            yield session
        except Exception:
            await endings.begin(end(_closed), name="transaction taken back")
            raise
        except BaseException:  # he is cancelled
            endings.begin(end(_closed), name="transaction taken back")
            raise
        else:
            await endings.begin(end(last), name="end of a transaction")

    async def _from_replica(self, stack: AsyncExitStack) -> AsyncSession | None:
        now = asyncio.get_running_loop().time()
        if self._replicas is None or now < self._replica_from:
            return None
        await stack.enter_async_context(_usable())
        session = await stack.enter_async_context(self._transaction(self._replicas(), _closed))
        try:
            await session.connection()
        except (DBAPIError, NoConnection) as error:
            self._replica_from = now + REPLICA_PAUSE_S
            log.warning("replica_away", reason=reason_of(error), pause_s=REPLICA_PAUSE_S)
            return None
        return session

    async def _own_turn(self) -> None:
        if self._turn is None:
            return
        try:
            async with asyncio.timeout(WRITE_WAIT_S):
                await self._turn.acquire()
        except TimeoutError as error:
            raise Unavailable("Too much is being written at once; try again shortly.", retry_after_s=SOON_S) from error

    def _turn_over(self) -> None:
        if self._turn is not None:
            self._turn.release()


async def _committed(session: AsyncSession) -> None:
    try:
        async with _usable():
            await session.commit()
    finally:
        await _closed(session)


async def _closed(session: AsyncSession) -> None:
    try:
        async with asyncio.timeout(CLOSE_S):
            await session.close()
    except (DBAPIError, TimeoutError) as error:
        log.warning("connection_given_up", reason=reason_of(error))


@asynccontextmanager
async def _usable() -> AsyncIterator[None]:
    limit = asyncio.timeout(TRANSACTION_S)
    try:
        async with limit:
            yield
    except IntegrityError:
        raise
    except (DBAPIError, NoConnection) as error:
        reason = reason_of(error) if isinstance(error, DBAPIError) else "no connection became free in time"
        if is_overtaken(error):
            log.warning("transaction_overtaken", reason=reason)
        else:
            log.error("database_failed", reason=reason)
        raise failed(error) from error
    except TimeoutError as error:
        if not limit.expired():
            raise  # the caller's own
        log.error("database_failed", reason=f"a transaction took longer than {TRANSACTION_S:g} s")
        raise Unavailable("The database takes too long now; try again.", retry_after_s=LATER_S) from error
