"""The store facility on real SQLite: its settings, its transactions, and what it refuses."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from hyperinfer.errors import ConfigError, StartError, Unavailable
from hyperinfer.facilities.store import Database, migrate, opened, url_of
from hyperinfer.facilities.store import engine as engines
from hyperinfer.workers.auth.store import MIGRATIONS


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    async with opened(url_of(None, default=tmp_path / "a.sqlite")) as engine:
        async with engine.begin() as connection:
            await connection.execute(text("CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL)"))
            await connection.execute(text("INSERT INTO counters VALUES ('a', 0)"))
        yield engine


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def value(engine: AsyncEngine) -> int:
    async with Database(engine).read() as session:
        return int(await session.scalar(text("SELECT value FROM counters WHERE name = 'a'")) or 0)


async def test_sqlite_syncs_what_it_commits(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        found = [
            (await connection.execute(text(f"PRAGMA {name}"))).scalar() for name in ("journal_mode", "synchronous")
        ]
        assert found == ["wal", 2]
        assert (await connection.execute(text("PRAGMA foreign_keys"))).scalar() == 1
        assert (await connection.execute(text("PRAGMA busy_timeout"))).scalar() == 5000


async def test_its_files_are_the_owners_alone(engine: AsyncEngine, tmp_path: Path) -> None:
    modes = [(tmp_path / name).stat().st_mode & 0o777 for name in ("a.sqlite", "a.sqlite-wal", "a.sqlite-shm")]
    assert modes == [0o600] * 3


async def test_who_reads_and_then_writes_is_never_overtaken(engine: AsyncEngine, tmp_path: Path) -> None:
    """Through two pools, as two processes would; a transaction begun as a mere reader would fail here."""

    async def add_one(database: Database) -> None:
        async with database.write() as session:
            seen = await session.scalar(text("SELECT value FROM counters WHERE name = 'a'"))
            await asyncio.sleep(0)
            await session.execute(text("UPDATE counters SET value = :new"), {"new": (seen or 0) + 1})

    async with opened(url_of(None, default=tmp_path / "a.sqlite")) as other:
        databases = (Database(engine), Database(other))
        await asyncio.gather(*(add_one(databases[number % 2]) for number in range(40)))
    assert await value(engine) == 40


async def test_an_error_takes_everything_back_and_lets_the_next_in(engine: AsyncEngine) -> None:
    database = Database(engine)

    async def write(new: int, *, then: str) -> None:
        async with database.write() as session:
            await session.execute(text("UPDATE counters SET value = :new"), {"new": new})
            await session.execute(text(then))
            raise LookupError

    with pytest.raises(LookupError):
        await write(7, then="SELECT 1")
    with pytest.raises(IntegrityError):
        await write(8, then="INSERT INTO counters VALUES ('a', 1)")
    assert await value(engine) == 0
    async with database.write() as session:
        await session.execute(text("UPDATE counters SET value = 9"))
    assert await value(engine) == 9


async def test_a_writer_that_is_cancelled_leaves_nothing_behind(engine: AsyncEngine) -> None:
    database, wrote = Database(engine), asyncio.Event()

    async def write() -> None:
        async with database.write() as session:
            await session.execute(text("UPDATE counters SET value = 7"))
            wrote.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write())
    await wrote.wait()
    task.cancel()
    await asyncio.wait([task])
    assert await value(engine) == 0
    async with database.write() as session:
        await session.execute(text("UPDATE counters SET value = 1"))
    assert await value(engine) == 1


async def test_a_lock_that_another_process_keeps_is_waited_for_and_then_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "BUSY_TIMEOUT_S", 0.1)
    async with opened(url_of(None, default=tmp_path / "a.sqlite")) as engine:
        database = Database(engine)
        async with database.write() as session:
            await session.execute(text("CREATE TABLE t (a)"))
        other = sqlite3.connect(tmp_path / "a.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable) as caught:
            async with database.write() as session:
                await session.execute(text("INSERT INTO t VALUES (1)"))
        assert caught.value.details["retry_after_s"] > 0
        async with database.read() as session:
            assert (await session.execute(text("SELECT * FROM t"))).all() == []
        other.execute("ROLLBACK")
        other.close()
        async with database.write() as session:
            await session.execute(text("INSERT INTO t VALUES (1)"))


@pytest.mark.parametrize("folder", ["a?b", "50% off", "a#b", "ä b"])
async def test_a_folder_of_any_name_will_do(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir()
    async with opened(url_of(None, default=tmp_path / folder / "a.sqlite")) as engine:
        await migrate(engine, MIGRATIONS)
    assert (tmp_path / folder / "a.sqlite").stat().st_size > 0
    assert names_in(tmp_path) == [folder]


async def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.sqlite").write_bytes(b"not a database, but long enough to be taken for a damaged one" * 10)
    async with opened(url_of(None, default=tmp_path / "a.sqlite")) as engine:
        with pytest.raises(StartError, match="cannot be opened"):
            await migrate(engine, MIGRATIONS)


async def test_a_file_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="cannot be opened"):
        async with opened(url_of(None, default=tmp_path / "missing" / "a.sqlite")):
            pass


@pytest.mark.parametrize("url", ["nonsense", "mysql://u:secret@x/y", "sqlite://", "sqlite:///:memory:"])
def test_a_wrong_url_is_refused_without_its_password(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        url_of(url, default=tmp_path)
    assert "secret" not in caught.value.message


def test_a_url_gets_the_driver_that_we_ship(tmp_path: Path) -> None:
    assert str(url_of("sqlite:////var/lib/auth.sqlite", default=tmp_path)) == "sqlite+aiosqlite:////var/lib/auth.sqlite"
