"""The store facility on real SQLite: its settings, its files, and what it refuses."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from hyperinfer.errors import ConfigError, StartError, Unavailable
from hyperinfer.facilities.store import Database, migrate, opened, replica_url_of, sqlite, url_of
from hyperinfer.workers.auth.store import MIGRATIONS

from .conftest import make_counters


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    async with opened(url_of(None, default=tmp_path / "a.sqlite")) as engine:
        await make_counters(engine)
        yield engine


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_it_syncs_what_it_commits(engine: AsyncEngine) -> None:
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


async def test_a_lock_that_another_process_keeps_is_waited_for_and_then_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.1)
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


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "mysql://u:secret@x/y",
        "sqlite://",
        "sqlite:///:memory:",
        "postgresql://u:secret@x",
        "postgresql://u:p@ss:secret@x/y",
    ],
)
def test_a_wrong_url_is_refused_without_its_password(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        url_of(url, default=tmp_path)
    with pytest.raises(ConfigError) as caught_too:
        replica_url_of(url)
    for error in (caught.value, caught_too.value):
        assert "secret" not in error.message
        assert error.__cause__ is None


@pytest.mark.parametrize(
    ("given", "understood"),
    [
        ("sqlite:////var/lib/auth.sqlite", "sqlite+aiosqlite:////var/lib/auth.sqlite"),
        ("postgresql://u@h/d", "postgresql+asyncpg://u@h/d"),
        ("postgres://u@h:1/d?sslmode=require", "postgresql+asyncpg://u@h:1/d?sslmode=require"),
        ("postgresql+psycopg://u@h/d", "postgresql+asyncpg://u@h/d"),
    ],
)
def test_a_url_gets_the_driver_that_we_ship(given: str, understood: str, tmp_path: Path) -> None:
    assert str(url_of(given, default=tmp_path)) == understood


def test_only_a_server_has_replicas() -> None:
    assert replica_url_of(None) is None
    with pytest.raises(ConfigError, match="replicas"):
        replica_url_of("sqlite:////var/lib/auth.sqlite")
