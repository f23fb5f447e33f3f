"""The database under auth: made once, true to what was acknowledged, and away for a while."""

import asyncio
import os
import signal
import sqlite3
import sys
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

import pytest

from hyperinfer.contracts.auth import Login, Register
from hyperinfer.errors import Unavailable
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.workers.auth.config import AuthSettings
from hyperinfer.workers.auth.parts import parts_on

from .conftest import PASSWORD

MIGRATES = """
import asyncio, sys
from pathlib import Path
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.workers.auth.config import AuthSettings
from hyperinfer.workers.auth.parts import parts_on

async def main():
    async with parts_on(Path(sys.argv[1]), AuthSettings(database_url=sys.argv[2]), SystemClock()) as parts:
        print((await parts.signing.jwks()).keys[0]["kid"])

print("ready", flush=True)
sys.stdin.readline()
asyncio.run(main())
"""


async def test_processes_that_start_at_once_make_one_database_and_one_signing_key(
    tmp_path: Path, database_url: str
) -> None:
    children = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", MIGRATES, str(tmp_path), database_url), stdin=PIPE, stdout=PIPE
        )
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
    async with parts_on(Path(sys.argv[1]), AuthSettings(database_url=sys.argv[2]), SystemClock()) as parts:
        for number in range(1000):
            made = await parts.registration.register(Register(email=f"p{number}@example.org", password=sys.argv[3]))
            print(made.account.email, made.key.key, flush=True)

asyncio.run(main())
"""


async def test_what_was_acknowledged_survives_a_kill(tmp_path: Path, database_url: str) -> None:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", REGISTERS, str(tmp_path), database_url, PASSWORD), stdin=DEVNULL, stdout=PIPE
    )
    assert child.stdout is not None
    lines = [(await child.stdout.readline()).decode() for _ in range(20)]
    os.kill(child.pid, signal.SIGKILL)
    lines += [line.decode() async for line in child.stdout]
    assert await child.wait() == -signal.SIGKILL
    acknowledged = [line.split() for line in lines if line.endswith("\n")]
    async with parts_on(tmp_path, AuthSettings(database_url=database_url), SystemClock()) as parts:
        for email, key in acknowledged:
            assert (await parts.keys.validate(key)).principal.email == email
        session = await parts.sessions.login(Login(email=acknowledged[-1][0], password=PASSWORD))
        assert session.account.email == acknowledged[-1][0]


async def test_a_database_that_fails_is_away_and_comes_back(tmp_path: Path) -> None:
    async with parts_on(tmp_path, AuthSettings(), SystemClock()) as parts:
        made = await parts.registration.register(Register(email="ada@example.org", password=PASSWORD))
        path = tmp_path / "auth.sqlite"
        with sqlite3.connect(path) as other:
            other.execute("ALTER TABLE api_keys RENAME TO elsewhere")
        with pytest.raises(Unavailable) as caught:
            await parts.keys.validate(made.key.key)
        assert "api_keys" not in caught.value.message
        with sqlite3.connect(path) as other:
            other.execute("ALTER TABLE elsewhere RENAME TO api_keys")
        await parts.keys.validate(made.key.key)
