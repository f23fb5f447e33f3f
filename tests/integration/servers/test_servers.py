"""The servers that tests run against: empty for each, restarted on their port, and gone with the tests however they end."""

import asyncio
import os
import signal
import sys
import tempfile
from asyncio.subprocess import PIPE
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import TimeoutError as TooSlow

from hyperinfer.testing.eventually import eventually
from hyperinfer.testing.servers import PostgresServer, RedisServer


@pytest.mark.parametrize("_", range(2))
async def test_every_test_has_an_empty_database(postgres_url: str, _: int) -> None:
    connection = await asyncpg.connect(postgres_url)
    try:
        assert await connection.fetch("SELECT 1 FROM information_schema.tables WHERE table_schema = 'public'") == []
        await connection.execute("CREATE TABLE left_behind (a text)")
        assert await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False
    finally:
        await connection.close()


async def test_a_database_needs_its_password(postgres: PostgresServer, postgres_url: str) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(postgres_url.replace(postgres.password, "wrong"))


@pytest.mark.parametrize("_", range(2))
async def test_every_test_has_an_empty_redis(redis_url: str, _: int) -> None:
    async with Redis.from_url(redis_url) as client:
        assert await client.dbsize() == 0
        await client.set("left behind", "yes")


@pytest.mark.slow
async def test_what_was_committed_outlives_a_kill(postgres: PostgresServer, postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("CREATE TABLE kept (a text)")
    postgres.kill()
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await connection.fetch("SELECT * FROM kept")
    postgres.start()
    connection = await asyncpg.connect(postgres_url)
    assert await connection.fetch("SELECT * FROM kept") == []
    await connection.close()


async def test_redis_stops_freezes_and_comes_back(redis_server: RedisServer) -> None:
    async with Redis.from_url(redis_server.url, socket_timeout=0.2, retry=None) as client:
        await client.set("a", "b")
        redis_server.freeze()
        with pytest.raises(TooSlow):
            await client.get("a")
        redis_server.thaw()
        assert await client.get("a") == b"b"
        redis_server.kill()
        with pytest.raises(NoConnection):
            await client.get("a")
        redis_server.start()
        assert await client.get("a") is None


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A temporary folder that the server's account may enter, which pytest's own may not be."""
    with tempfile.TemporaryDirectory(prefix="hi-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o711)
        yield Path(name)


RUNS = """
import sys
from hyperinfer.testing.servers import PostgresServer, RedisServer
with PostgresServer.running() as postgres, RedisServer.running() as redis:
    print(postgres.port, redis.port, flush=True)
    sys.stdin.readline()
"""


@pytest.mark.slow
@pytest.mark.needs_postgres
@pytest.mark.needs_redis
@pytest.mark.skipif(sys.platform != "linux", reason="other kernels do not end children with their parent")
async def test_killed_tests_leave_no_server_behind(open_folder: Path) -> None:
    env = {**os.environ, "TMPDIR": str(open_folder)}
    tests = await asyncio.create_subprocess_exec(sys.executable, "-c", RUNS, stdin=PIPE, stdout=PIPE, env=env)
    assert tests.stdout is not None
    assert await tests.stdout.readline()
    servers = psutil.Process(tests.pid).children(recursive=True)
    assert len(servers) > 2
    os.kill(tests.pid, signal.SIGKILL)
    await tests.wait()

    async def are_gone() -> bool:
        return not any(server.is_running() and server.status() != psutil.STATUS_ZOMBIE for server in servers)

    await eventually(are_gone)
