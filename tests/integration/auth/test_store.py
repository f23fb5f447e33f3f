"""The database: migrations that match the models, settings that keep what was acknowledged, and refusals."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from tests.integration.auth.conftest import PASSWORD

from hyperinfer.contracts.auth import Login
from hyperinfer.errors import ConfigError, StartError
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.facilities.store import migrate, opened
from hyperinfer.facilities.store.engine import url_of
from hyperinfer.workers.auth.admin import service_on
from hyperinfer.workers.auth.config import AuthSettings
from hyperinfer.workers.auth.models import Base
from hyperinfer.workers.auth.store import MIGRATIONS


async def test_migrations_make_what_the_models_say(tmp_path: Path) -> None:
    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, Base.metadata))

    async with opened(url_of(None, default=tmp_path / "a.sqlite")) as engine:
        await migrate(engine, MIGRATIONS)
        await migrate(engine, MIGRATIONS)
        async with engine.connect() as connection:
            assert await connection.run_sync(differences) == []
            assert (await connection.execute(text("PRAGMA journal_mode"))).scalar() == "wal"
            assert (await connection.execute(text("PRAGMA synchronous"))).scalar() == 2
            assert (await connection.execute(text("PRAGMA foreign_keys"))).scalar() == 1


async def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    async with opened(url_of(None, default=tmp_path / "a.sqlite")) as engine:
        await migrate(engine, MIGRATIONS)
        async with engine.begin() as connection:
            await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        with pytest.raises(StartError, match="newer version"):
            await migrate(engine, MIGRATIONS)


async def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.sqlite").write_bytes(b"not a database, but long enough to be taken for a damaged one" * 10)
    async with opened(url_of(None, default=tmp_path / "a.sqlite")) as engine:
        with pytest.raises(StartError, match="cannot be opened"):
            await migrate(engine, MIGRATIONS)


@pytest.mark.parametrize("url", ["nonsense", "mysql://x/y"])
def test_a_wrong_url_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        url_of(url, default=tmp_path)


REGISTERS = """
import asyncio, sys
from pathlib import Path
from hyperinfer.contracts.auth import Register
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.workers.auth.admin import service_on
from hyperinfer.workers.auth.config import AuthSettings

async def main():
    async with service_on(Path(sys.argv[1]), AuthSettings(), SystemClock()) as (service, store):
        for number in range(1000):
            made = await service.register(Register(email=f"p{number}@example.org", password=sys.argv[2]))
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
    await child.wait()
    acknowledged = [line.split() for line in lines if line.endswith("\n")]
    async with service_on(tmp_path, AuthSettings(), SystemClock()) as (service, _):
        for email, key in acknowledged:
            assert (await service.validate_key(key)).principal.email == email
        session = await service.login(Login(email=acknowledged[-1][0], password=PASSWORD))
        assert session.account.email == acknowledged[-1][0]
