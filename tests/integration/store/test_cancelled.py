"""Who is cancelled leaves nothing behind, wherever in a transaction he was: no lock, no connection, no task, no half of it."""

import asyncio
import itertools
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool

from hyperinfer.errors import Unavailable
from hyperinfer.facilities.store import Database, opened, sqlite
from hyperinfer.facilities.store import database as databases
from hyperinfer.facilities.store.engine import endings_of
from hyperinfer.testing.cancelling import interrupt
from hyperinfer.testing.servers import PostgresServer

from .conftest import make_counters, url, value

AT_ONCE_S = 4
ADD = text("UPDATE counters SET value = value + 1 WHERE name = :name")
VALUES = text("SELECT value FROM counters ORDER BY name")


async def write(database: Database) -> None:
    async with database.write() as session:
        await session.execute(ADD, {"name": "a"})
        await session.execute(ADD, {"name": "b"})
        await session.execute(VALUES)


async def read(database: Database) -> None:
    async with database.read() as session:
        await session.execute(VALUES)
        await session.execute(VALUES)


async def read_replica(database: Database) -> None:
    async with database.read_replica() as session:
        await session.execute(VALUES)


async def counted(database: Database) -> int:
    """How often both counters were raised; that they can be raised once more at once."""
    async with asyncio.timeout(AT_ONCE_S), database.write() as session:
        a, b = (await session.scalars(VALUES)).all()
        await session.execute(ADD, {"name": "a"})
        await session.execute(ADD, {"name": "b"})
    assert a == b
    return int(a) + 1


@asynccontextmanager
async def leaving_nothing(configured: str) -> AsyncIterator[AsyncEngine]:
    """A database that closes at once, and of which nothing runs on for long then."""
    others = asyncio.all_tasks()
    async with opened(url(configured)) as engine:
        yield engine
        await endings_of(engine.sync_engine).wait()
        pool = engine.pool
        assert isinstance(pool, QueuePool)
        assert pool.checkedout() == 0
        began = time.monotonic()
    assert time.monotonic() - began < AT_ONCE_S
    if running := asyncio.all_tasks() - others:
        _, running = await asyncio.wait(running, timeout=AT_ONCE_S)
    assert running == set()


@pytest.fixture
async def counters(database_url: str) -> str:
    async with opened(url(database_url)) as engine:
        await make_counters(engine)
    return database_url


@pytest.mark.parametrize("times", [1, 2, 9])
@pytest.mark.parametrize("late", [False, True], ids=["early", "late"])
async def test_whoever_writes_may_be_cancelled_at_any_wait(counters: str, late: bool, times: int) -> None:
    before, outcomes = 0, []
    for first in itertools.count(1):
        # A pool of its own each time, so that connecting is interrupted too; others come through another one.
        async with leaving_nothing(counters) as engine, leaving_nothing(counters) as elsewhere:
            ended = await interrupt(write(Database(engine)), first=first, times=times, late=late)
            after = await counted(Database(engine))
            outcomes.append(after - before - 1)
            before = await counted(Database(elsewhere))
        if not ended.reached:
            break
        assert ended.task.cancelled()
    # It is taken back up to where it was being committed.
    assert set(outcomes) == {0, 1}
    assert outcomes == sorted(outcomes)


@pytest.mark.parametrize("how", [read, read_replica])
@pytest.mark.parametrize("times", [1, 2, 9])
@pytest.mark.parametrize("late", [False, True], ids=["early", "late"])
async def test_and_so_may_whoever_reads(
    counters: str, how: Callable[[Database], Coroutine[None, None, None]], late: bool, times: int
) -> None:
    for first in itertools.count(1):
        async with leaving_nothing(counters) as engine, leaving_nothing(counters) as replica:
            reading = how(Database(engine, replica=replica))
            ended = await interrupt(reading, first=first, times=times, late=late)
            await counted(Database(engine))
        if not ended.reached:
            break
        assert ended.task.cancelled()


async def test_a_connection_to_sqlite_outlives_who_was_cancelled_in_a_statement(tmp_path: Path) -> None:
    connected = []
    async with opened(url(f"sqlite:///{tmp_path}/a.sqlite")) as engine:
        event.listen(engine.sync_engine.pool, "connect", lambda *_: connected.append(1))
        await make_counters(engine)
        for first in range(1, 8):
            assert (await interrupt(write(Database(engine)), first=first)).reached
        await counted(Database(engine))
    assert len(connected) == 1


async def test_whoever_waits_for_another_process_is_gone_when_that_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a thread of SQLite waits in cannot be interrupted; it waits for as long as it would have anyway."""
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.5)
    configured = f"sqlite:///{tmp_path}/a.sqlite"
    async with opened(url(configured)) as engine:
        await make_counters(engine)
    other = sqlite3.connect(tmp_path / "a.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for times in (1, 2, 9):
        async with leaving_nothing(configured) as engine:
            await read(Database(engine))
            began = time.monotonic()
            await interrupt(write(Database(engine)), first=2, times=times)
            assert time.monotonic() - began < 0.5 + AT_ONCE_S
    other.close()
    async with leaving_nothing(configured) as engine:
        assert await counted(Database(engine)) == 1


class Frozen:
    """PostgreSQL that stands still from the moment at which a transaction is about to commit."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self.wrote = asyncio.Event()

    async def write(self, database: Database) -> None:
        async with database.write() as session:
            await session.execute(ADD, {"name": "a"})
            self._server.freeze()
            self.wrote.set()


async def test_a_server_that_freezes_at_a_commit_is_not_waited_for_by_who_is_cancelled(
    postgres: PostgresServer, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "TRANSACTION_S", 1.0)
    monkeypatch.setattr(databases, "CLOSE_S", 0.5)
    async with opened(url(postgres_url)) as engine:
        await make_counters(engine)
    frozen = Frozen(postgres)
    try:
        async with asyncio.timeout(10), opened(url(postgres_url)) as engine:
            writer = asyncio.create_task(frozen.write(Database(engine)))
            await frozen.wrote.wait()
            began = time.monotonic()
            writer.cancel()
            await asyncio.wait([writer])
            assert writer.cancelled()
            assert time.monotonic() - began < AT_ONCE_S
            # It is told of its own deadline too.
            with pytest.raises(Unavailable):
                await frozen.write(Database(engine))
    finally:
        postgres.thaw()
    async with opened(url(postgres_url)) as engine:
        assert await value(engine) in {0, 1}
