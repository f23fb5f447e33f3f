"""Transactions on each kind of database: whole or not at all, one view, nobody overtaken, and what is refused."""

import asyncio

import pytest
import structlog
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from hyperinfer.errors import Unavailable
from hyperinfer.facilities.store import Database, opened
from hyperinfer.facilities.store import database as databases
from hyperinfer.facilities.store.engine import is_sqlite

from .conftest import url, value

SET = text("UPDATE counters SET value = :new WHERE name = 'a'")


async def test_who_reads_and_then_writes_is_never_overtaken(engine: AsyncEngine, database_url: str) -> None:
    """Through two pools, as two processes would. On SQLite the transaction itself locks, on PostgreSQL the statement."""
    wanted = text("SELECT value FROM counters WHERE name = 'a'" + ("" if is_sqlite(engine) else " FOR UPDATE"))

    async def add_one(database: Database) -> None:
        async with database.write() as session:
            seen = await session.scalar(wanted)
            await asyncio.sleep(0)
            await session.execute(SET, {"new": (seen or 0) + 1})

    async with opened(url(database_url)) as other:
        both = (Database(engine), Database(other))
        await asyncio.gather(*(add_one(both[number % 2]) for number in range(40)))
    assert await value(engine) == 40


async def test_an_error_takes_everything_back_and_lets_the_next_in(engine: AsyncEngine) -> None:
    database = Database(engine)

    async def write(new: int, *, then: str) -> None:
        async with database.write() as session:
            await session.execute(SET, {"new": new})
            await session.execute(text(then))
            raise LookupError

    with pytest.raises(LookupError):
        await write(7, then="SELECT 1")
    with pytest.raises(IntegrityError):
        await write(8, then="INSERT INTO counters VALUES ('a', 1)")
    assert await value(engine) == 0
    async with database.write() as session:
        await session.execute(SET, {"new": 9})
    assert await value(engine) == 9


async def test_a_writer_that_is_cancelled_leaves_nothing_behind(engine: AsyncEngine) -> None:
    database, wrote = Database(engine), asyncio.Event()

    async def write() -> None:
        async with database.write() as session:
            await session.execute(SET, {"new": 7})
            wrote.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write())
    await wrote.wait()
    task.cancel()
    await asyncio.wait([task])
    assert await value(engine) == 0
    async with database.write() as session:
        await session.execute(SET, {"new": 1})
    assert await value(engine) == 1


async def test_a_reader_keeps_its_view_while_others_write(engine: AsyncEngine) -> None:
    database, wanted = Database(engine), text("SELECT value FROM counters WHERE name = 'a'")
    async with database.read() as reader:
        before = await reader.scalar(wanted)
        async with database.write() as session:
            await session.execute(SET, {"new": 5})
        assert await reader.scalar(wanted) == before == 0
    assert await value(engine) == 5


async def test_a_transaction_that_stands_still_is_given_up(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "TRANSACTION_S", 0.3)
    database = Database(engine)

    async def write() -> None:
        async with database.write() as session:
            await session.execute(SET, {"new": 7})
            await asyncio.Event().wait()

    with pytest.raises(Unavailable, match="too long"):
        await write()
    async with database.write() as session:
        assert await session.scalar(text("SELECT value FROM counters WHERE name = 'a'")) == 0


async def test_a_callers_own_deadline_stays_the_callers(engine: AsyncEngine) -> None:
    with pytest.raises(TimeoutError):
        async with Database(engine).write(), asyncio.timeout(0):
            await asyncio.Event().wait()


async def test_what_is_wrong_is_logged_without_the_values(engine: AsyncEngine) -> None:
    with structlog.testing.capture_logs() as lines, pytest.raises(Unavailable) as caught:
        async with Database(engine).read() as session:
            await session.execute(text("SELECT :planted FROM nowhere"), {"planted": "hunter2"})
    assert "nowhere" in str(lines)
    assert "hunter2" not in str(lines) + caught.value.message


async def test_without_a_replica_reports_come_from_the_database(engine: AsyncEngine) -> None:
    database = Database(engine)
    async with database.write() as session:
        await session.execute(SET, {"new": 4})
    async with database.read_replica() as session:
        assert await session.scalar(text("SELECT value FROM counters WHERE name = 'a'")) == 4
