"""Migrations on each kind of database: what the models say, from any revision, with rows that stay whole, one at a time."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Boolean, Connection, String, Uuid, column, event, inspect, select, table, text
from sqlalchemy.ext.asyncio import AsyncEngine

from hyperinfer.errors import StartError
from hyperinfer.facilities.store import UtcDateTime, migrate, opened, url_of
from hyperinfer.facilities.store.engine import is_sqlite, writing
from hyperinfer.facilities.store.migrate import alone, newest_revision, revision_of, revisions
from hyperinfer.workers.auth.models import ApiKeyRow, Base, Heads, SigningKeyRow, User
from hyperinfer.workers.auth.store import MIGRATIONS

NEWEST = newest_revision(MIGRATIONS)
USER, KEY = "019a0000-0000-7000-8000-00000000000a", "019a0000-0000-7000-8000-00000000000b"
THEN = datetime(2026, 11, 1, 12, 30, 15, 123456, tzinfo=UTC)


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    async with opened(url_of(database_url, default=Path("unused"))) as engine:
        yield engine


def differences(connection: Connection) -> list[Any]:
    """What the tables are that the models say otherwise."""
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, Base.metadata))


async def test_migrations_make_what_the_models_say(engine: AsyncEngine) -> None:
    for _ in range(2):
        await migrate(engine, MIGRATIONS)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
        tables = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
        assert await revision_of(connection) == NEWEST
    assert set(tables) == {"alembic_version", *Base.metadata.tables}


async def test_a_database_of_a_newer_version_is_refused(engine: AsyncEngine) -> None:
    await migrate(engine, MIGRATIONS)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StartError, match="newer version"):
        await migrate(engine, MIGRATIONS)


# --- from the first revision, with people in it ------------------------------------------------------------------

USERS = table(
    "users",
    column("id", Uuid(as_uuid=False)),
    column("username", String),
    column("email", String),
    column("password_hash", String),
    column("role", String),
    column("tier", String),
    column("created_at", UtcDateTime()),
    column("is_active", Boolean),
)
API_KEYS = table(
    "api_keys",
    column("id", Uuid(as_uuid=False)),
    column("user_id", Uuid(as_uuid=False)),
    column("public_id", String),
    column("key_hash", String),
    column("name", String),
    column("created_at", UtcDateTime()),
    column("expires_at", UtcDateTime()),
    column("last_used_at", UtcDateTime()),
    column("is_active", Boolean),
)
SIGNING_KEYS = table(
    "signing_keys",
    column("id", String),
    column("public_key", String),
    column("created_at", UtcDateTime()),
    column("retired_at", UtcDateTime()),
)
FIRST_ROWS: dict[Any, list[dict[str, Any]]] = {
    USERS: [
        {
            "id": USER,
            "username": "zoë",
            "email": "zoë@example.org",
            "password_hash": "$argon2id$…",
            "role": "admin",
            "tier": "unlimited",
            "created_at": THEN,
            "is_active": True,
        },
        {
            "id": USER.replace("a", "c"),
            "username": "Zoë",  # another name than zoë, on every database
            "email": "other@example.org",
            "password_hash": "",
            "role": "user",
            "tier": "default",
            "created_at": THEN,
            "is_active": False,
        },
    ],
    API_KEYS: [
        {
            "id": KEY,
            "user_id": USER,
            "public_id": "abcdefgh",
            "key_hash": "ab" * 32,
            "name": "laptop",
            "created_at": THEN,
            "expires_at": None,
            "last_used_at": THEN,
            "is_active": True,
        }
    ],
    SIGNING_KEYS: [{"id": "cd" * 8, "public_key": "cd" * 32, "created_at": THEN, "retired_at": None}],
}


async def test_what_the_first_revision_held_is_whole_after_every_later_one(engine: AsyncEngine) -> None:
    """A revision that needs rows of its own adds them here, after the one it comes from."""
    first, *later = revisions(MIGRATIONS)
    await migrate(engine, MIGRATIONS, revision=first)
    async with writing(engine).begin() as connection:
        for of, rows in FIRST_ROWS.items():
            await connection.execute(of.insert(), rows)
    for revision in later:
        await migrate(engine, MIGRATIONS, revision=revision)
        async with engine.connect() as connection:
            assert await revision_of(connection) == revision
            for of, rows in FIRST_ROWS.items():
                found = (await connection.execute(select(of))).mappings().all()
                assert sorted(map(dict, found), key=str) == sorted(rows, key=str), revision


async def test_the_models_read_what_the_first_revision_held(engine: AsyncEngine) -> None:
    first, *_ = revisions(MIGRATIONS)
    await migrate(engine, MIGRATIONS, revision=first)
    async with writing(engine).begin() as connection:
        for of, rows in FIRST_ROWS.items():
            await connection.execute(of.insert(), rows)
    await migrate(engine, MIGRATIONS)
    async with engine.connect() as connection:
        user = (await connection.execute(select(User.__table__).where(User.id == USER))).one()
        key = (await connection.execute(select(ApiKeyRow.__table__))).one()
        signing = (await connection.execute(select(SigningKeyRow.__table__))).one()
        heads = (await connection.execute(select(Heads.__table__))).one()
    assert (user.username, user.is_active, user.created_at, user.limits) == ("zoë", True, THEN, None)
    assert (key.user_id, key.scopes, key.models, key.last_used_at) == (
        USER,
        ["inference", "usage", "account"],  # all that keys could do until then
        [],
        THEN,
    )
    assert (signing.retired_at, heads.directory_seq, heads.audit_seq) == (None, 0, 0)
    assert heads.directory_id


async def test_a_migration_that_fails_leaves_what_was(engine: AsyncEngine) -> None:
    first, *_ = revisions(MIGRATIONS)
    await migrate(engine, MIGRATIONS, revision=first)
    async with writing(engine).begin() as connection:
        await connection.execute(text("CREATE TABLE audit_log (in_the_way INTEGER)"))
    with pytest.raises(StartError, match="audit_log"):
        await migrate(engine, MIGRATIONS)
    async with writing(engine).begin() as connection:
        assert await revision_of(connection) == first
        columns = await connection.run_sync(lambda sync: inspect(sync).get_columns("api_keys"))
        assert "scopes" not in {one["name"] for one in columns}
        await connection.execute(text("DROP TABLE audit_log"))
    await migrate(engine, MIGRATIONS)


# --- one at a time -----------------------------------------------------------------------------------------------


async def test_a_migration_waits_for_the_one_under_way_before_it_looks(database_url: str) -> None:
    url = url_of(database_url, default=Path("unused"))
    async with opened(url) as first, opened(url) as second:
        statements: list[str] = []
        began = asyncio.Event()
        # Where it waits: SQLite's transaction, PostgreSQL's advisory lock.
        gate = "BEGIN IMMEDIATE" if is_sqlite(first) else "pg_advisory_xact_lock"

        def note(connection: Any, cursor: Any, statement: str, *_: object) -> None:
            statements.append(statement)
            if gate in statement:
                began.set()

        async with second.connect():  # what a first connection asks is no part of it
            pass
        event.listen(second.sync_engine, "before_cursor_execute", note)
        async with writing(first).begin() as connection:
            await alone(connection)
            await connection.execute(text("CREATE TABLE held (a INTEGER)"))
            later = asyncio.create_task(migrate(second, MIGRATIONS))
            await began.wait()
            so_far = len(statements)
            for _ in range(20):
                await connection.execute(text("SELECT 1"))
            assert len(statements) == so_far
            assert gate in statements[-1]
        await later
        assert len(statements) > so_far


MIGRATES = """
import asyncio, sys
from pathlib import Path
from hyperinfer.facilities.store import migrate, opened, url_of
from hyperinfer.workers.auth.store import MIGRATIONS

async def main():
    async with opened(url_of(sys.argv[1], default=Path("unused"))) as engine:
        await migrate(engine, MIGRATIONS)

print("ready", flush=True)
sys.stdin.readline()
asyncio.run(main())
"""


@pytest.mark.slow
async def test_processes_that_start_at_once_make_one_database(engine: AsyncEngine, database_url: str) -> None:
    children = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", MIGRATES, database_url, stdin=PIPE, stdout=PIPE)
        for _ in range(3)
    ]
    for child in children:
        assert child.stdout is not None
        assert await child.stdout.readline() == b"ready\n"
    await asyncio.gather(*(child.communicate(b"\n") for child in children))
    assert [child.returncode for child in children] == [0, 0, 0]
    async with engine.connect() as connection:
        assert len((await connection.execute(select(Heads.__table__))).all()) == 1
        assert await connection.run_sync(differences) == []
