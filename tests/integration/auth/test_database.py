"""The database: migrations that match the models, what was acknowledged, and what happens when it cannot be used."""

import asyncio
import os
import signal
import sqlite3
import sys
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, event, inspect, text

from hyperinfer.contracts.auth import Login
from hyperinfer.errors import StartError, Unavailable
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.facilities.store import migrate, opened, url_of
from hyperinfer.facilities.store.engine import writing
from hyperinfer.workers.auth.config import AuthSettings
from hyperinfer.workers.auth.models import Base
from hyperinfer.workers.auth.parts import parts_on
from hyperinfer.workers.auth.store import MIGRATIONS

from .conftest import PASSWORD, Office


async def test_migrations_make_what_the_models_say(tmp_path: Path) -> None:
    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, Base.metadata))

    async with opened(url_of(None, default=tmp_path / "a.sqlite")) as engine:
        await migrate(engine, MIGRATIONS)
        await migrate(engine, MIGRATIONS)
        async with engine.connect() as connection:
            assert await connection.run_sync(differences) == []
            tables = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    assert set(tables) == {"alembic_version", "users", "api_keys", "signing_keys"}


async def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    async with opened(url_of(None, default=tmp_path / "a.sqlite")) as engine:
        await migrate(engine, MIGRATIONS)
        async with engine.begin() as connection:
            await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        with pytest.raises(StartError, match="newer version"):
            await migrate(engine, MIGRATIONS)


async def test_a_migration_waits_for_the_one_under_way_before_it_looks(tmp_path: Path) -> None:
    url = url_of(None, default=tmp_path / "a.sqlite")
    async with opened(url) as first, opened(url) as second:
        statements: list[str] = []
        began = asyncio.Event()

        def note(connection: Any, cursor: Any, statement: str, *_: object) -> None:
            statements.append(statement)
            began.set()

        event.listen(second.sync_engine, "before_cursor_execute", note)
        async with writing(first).begin() as connection:
            await connection.execute(text("CREATE TABLE held (a)"))
            later = asyncio.create_task(migrate(second, MIGRATIONS))
            await began.wait()
            for _ in range(20):
                await connection.execute(text("SELECT 1"))
            assert statements == ["BEGIN IMMEDIATE"]
        await later
        assert len(statements) > 1


MIGRATES = """
import asyncio, sys
from pathlib import Path
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.workers.auth.config import AuthSettings
from hyperinfer.workers.auth.parts import parts_on

async def main():
    async with parts_on(Path(sys.argv[1]), AuthSettings(), SystemClock()) as parts:
        print(parts.service.jwks().keys[0]["kid"])

print("ready", flush=True)
sys.stdin.readline()
asyncio.run(main())
"""


async def test_processes_that_start_at_once_make_one_database_and_one_signing_key(tmp_path: Path) -> None:
    children = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", MIGRATES, str(tmp_path), stdin=PIPE, stdout=PIPE)
        for _ in range(3)
    ]
    for child in children:
        assert child.stdout is not None
        assert await child.stdout.readline() == b"ready\n"
    answers = await asyncio.gather(*(child.communicate(b"\n") for child in children))
    assert [child.returncode for child in children] == [0, 0, 0]
    assert len({out for out, _ in answers}) == 1


REGISTERS = """
import asyncio, sys
from pathlib import Path
from hyperinfer.contracts.auth import Register
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.workers.auth.config import AuthSettings
from hyperinfer.workers.auth.parts import parts_on

async def main():
    async with parts_on(Path(sys.argv[1]), AuthSettings(), SystemClock()) as parts:
        for number in range(1000):
            made = await parts.service.register(Register(email=f"p{number}@example.org", password=sys.argv[2]))
            print(made.account.email, made.key.key, flush=True)

asyncio.run(main())
"""


async def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", REGISTERS, str(tmp_path), PASSWORD), stdin=DEVNULL, stdout=PIPE
    )
    assert child.stdout is not None
    lines = [(await child.stdout.readline()).decode() for _ in range(20)]
    os.kill(child.pid, signal.SIGKILL)
    lines += [line.decode() async for line in child.stdout]
    assert await child.wait() == -signal.SIGKILL
    acknowledged = [line.split() for line in lines if line.endswith("\n")]
    async with parts_on(tmp_path, AuthSettings(), SystemClock()) as parts:
        for email, key in acknowledged:
            assert (await parts.keys.validate(key)).principal.email == email
        session = await parts.service.login(Login(email=acknowledged[-1][0], password=PASSWORD))
        assert session.account.email == acknowledged[-1][0]


async def test_a_database_that_fails_is_away_and_comes_back(office: Office) -> None:
    made = await office.person()
    path = office.data / "auth.sqlite"
    with sqlite3.connect(path) as other:
        other.execute("ALTER TABLE api_keys RENAME TO elsewhere")
    with pytest.raises(Unavailable) as caught:
        await office.keys.validate(made.key.key)
    assert "api_keys" not in caught.value.message
    with sqlite3.connect(path) as other:
        other.execute("ALTER TABLE elsewhere RENAME TO api_keys")
    office.clock.advance(1)
    await office.keys.validate(made.key.key)
    with sqlite3.connect(path) as other:
        other.execute("ALTER TABLE api_keys RENAME TO elsewhere")
    with pytest.raises(Unavailable):
        await office.keys.note_use()
    with sqlite3.connect(path) as other:
        other.execute("ALTER TABLE elsewhere RENAME TO api_keys")
    await office.keys.note_use()
    assert (await office.keys.of(made.account.id))[0].last_used_at == "2026-11-01T00:00:01Z"
