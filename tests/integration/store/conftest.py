"""A database of each kind, with one table that everybody wants to write to."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine

from hyperinfer.facilities.store import Database, opened, url_of

NOWHERE = Path("no default is used")


def url(configured: str) -> URL:
    """The URL of a database that a test was given."""
    return url_of(configured, default=NOWHERE)


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    async with opened(url(database_url)) as engine:
        await make_counters(engine)
        yield engine


async def make_counters(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE counters (name VARCHAR(20) PRIMARY KEY, value INTEGER NOT NULL)"))
        await connection.execute(text("INSERT INTO counters VALUES ('a', 0), ('b', 0)"))


async def value(engine: AsyncEngine, name: str = "a") -> int:
    async with Database(engine).read() as session:
        return int(await session.scalar(text("SELECT value FROM counters WHERE name = :name"), {"name": name}) or 0)
