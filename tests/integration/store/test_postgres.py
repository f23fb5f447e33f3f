"""The store facility on real PostgreSQL: what it says at start, what it survives, and what its time limits are."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from hyperinfer.errors import BadRequest, StartError, Unavailable
from hyperinfer.facilities.store import Database, migrate, opened, postgres
from hyperinfer.facilities.store import database as databases
from hyperinfer.testing.eventually import eventually
from hyperinfer.testing.servers import PostgresServer
from hyperinfer.testing.servers.process import free_port
from hyperinfer.workers.auth.store import MIGRATIONS

from .conftest import make_counters, url, value

ADD = text("UPDATE counters SET value = value + 1 WHERE name = :name")


@pytest.fixture
async def engine(postgres_url: str) -> AsyncIterator[AsyncEngine]:
    async with opened(url(postgres_url)) as engine:
        await make_counters(engine)
        yield engine


@pytest.fixture
def server(postgres: PostgresServer) -> Iterator[PostgresServer]:
    """The server, for a test that does something to it; it runs as before afterwards."""
    yield postgres
    postgres.settings.pop("ssl", None)
    postgres.restart()


# --- at start ----------------------------------------------------------------------------------------------------


async def refusal(configured: str) -> str:
    """What is said of a database that cannot be used from the start."""
    async with opened(url(configured)) as engine:
        with pytest.raises(StartError) as caught:
            await migrate(engine, MIGRATIONS)
    return caught.value.message


async def test_a_wrong_password_is_said_and_not_shown(postgres: PostgresServer, postgres_url: str) -> None:
    wrong = postgres.url(postgres_url.rpartition("/")[2], password="hunter2hunter2")
    said = await refusal(wrong)
    assert f"127.0.0.1:{postgres.port} refuses the user 'hyperinfer'" in said
    assert "hunter2" not in said
    assert "refuses the user 'nobody'" in await refusal(wrong.replace("//hyperinfer:", "//nobody:"))


async def test_a_missing_database_is_said_with_what_to_run(postgres: PostgresServer) -> None:
    assert "createdb --owner hyperinfer missing" in await refusal(postgres.url("missing"))


async def test_a_port_on_which_nobody_listens_is_said(postgres: PostgresServer) -> None:
    port = free_port()
    assert f"Nothing answers at 127.0.0.1:{port}" in await refusal(
        postgres.url("x").replace(str(postgres.port), str(port))
    )


async def test_a_host_that_nobody_knows_is_said() -> None:
    assert "'no.such.host.invalid' of database_url is not known" in await refusal(
        "postgresql://u:secret@no.such.host.invalid/x"
    )


async def test_a_missing_socket_is_said() -> None:
    assert "no socket of PostgreSQL at /nowhere" in await refusal("postgresql://u@/x?host=/nowhere")


async def test_rights_that_are_missing_are_said(postgres: PostgresServer, postgres_url: str) -> None:
    postgres.sql(postgres_url, "ALTER SCHEMA public OWNER TO postgres")
    assert "may not make tables" in await refusal(postgres_url)


async def test_a_setting_that_the_server_does_not_know_is_said(postgres_url: str) -> None:
    assert "no_such_setting" in await refusal(f"{postgres_url}?no_such_setting=1")


async def test_a_server_that_is_stopped_is_said(server: PostgresServer, postgres_url: str) -> None:
    server.stop()
    assert "Is PostgreSQL running there" in await refusal(postgres_url)


async def test_a_server_that_does_not_answer_is_not_waited_for_long(
    server: PostgresServer, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "CONNECT_TIMEOUT_S", 0.3)
    server.freeze()
    try:
        assert "does not answer in time" in await refusal(postgres_url)
    finally:
        server.thaw()


# --- encryption --------------------------------------------------------------------------------------------------


def certificate() -> tuple[bytes, bytes]:
    """A certificate for loopback that is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM), key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


async def is_encrypted(configured: str) -> bool:
    async with opened(url(configured)) as engine, engine.connect() as connection:
        asked = text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        return bool(await connection.scalar(asked))


@pytest.mark.slow
async def test_the_url_says_how_the_connection_is_encrypted(server: PostgresServer, postgres_url: str) -> None:
    assert "SSL" in await refusal(f"{postgres_url}?sslmode=require")
    shown, key = certificate()
    authority = server.keep("server.crt", shown)
    server.settings |= {
        "ssl": "on",
        "ssl_cert_file": str(authority),
        "ssl_key_file": str(server.keep("server.key", key)),
    }
    server.restart()
    for query, encrypted in (
        ("sslmode=disable", False),
        ("sslmode=require", True),
        (f"sslmode=verify-full&sslrootcert={authority}", True),
    ):
        assert await is_encrypted(f"{postgres_url}?{query}") is encrypted
    stranger, _ = certificate()
    other = server.keep("other.crt", stranger)
    assert "certificate verify failed" in await refusal(f"{postgres_url}?sslmode=verify-full&sslrootcert={other}")


# --- in operation ------------------------------------------------------------------------------------------------


async def test_sessions_have_limits_that_the_url_may_change(engine: AsyncEngine, postgres_url: str) -> None:
    async def shown(engine: AsyncEngine, name: str) -> str:
        async with engine.connect() as connection:
            return str(await connection.scalar(text(f"SHOW {name}")))

    found = {name: await shown(engine, name) for name in postgres.LIMITS}
    assert found == {**postgres.LIMITS, "timezone": "UTC", "idle_in_transaction_session_timeout": "1min"}
    async with opened(url(f"{postgres_url}?lock_timeout=250ms&application_name=mine")) as other:
        assert (await shown(other, "lock_timeout"), await shown(other, "application_name")) == ("250ms", "mine")


async def test_who_reads_cannot_write(engine: AsyncEngine) -> None:
    with pytest.raises(Unavailable):
        async with Database(engine).read() as session:
            await session.execute(ADD, {"name": "a"})
    assert await value(engine) == 0


async def test_a_lock_that_another_keeps_is_waited_for_and_then_said(engine: AsyncEngine, postgres_url: str) -> None:
    async with opened(url(f"{postgres_url}?lock_timeout=100ms")) as impatient:
        async with Database(engine).write() as session:
            await session.execute(ADD, {"name": "a"})
            with structlog.testing.capture_logs() as lines, pytest.raises(Unavailable, match="at once"):
                async with Database(impatient).write() as other:
                    await other.execute(ADD, {"name": "a"})
            assert [line["event"] for line in lines] == ["transaction_overtaken"]
        async with Database(impatient).write() as other:
            await other.execute(ADD, {"name": "a"})
    assert await value(engine) == 2


async def test_of_two_that_wait_for_each_other_one_goes_on(engine: AsyncEngine) -> None:
    database, barrier = Database(engine), asyncio.Barrier(2)

    async def add(first: str, second: str) -> bool:
        try:
            async with database.write() as session:
                await session.execute(ADD, {"name": first})
                await barrier.wait()
                await session.execute(ADD, {"name": second})
        except Unavailable as error:
            return bool(error.details["retry_after_s"])
        return False

    async with asyncio.timeout(20):
        assert sorted(await asyncio.gather(add("a", "b"), add("b", "a"))) == [False, True]
    assert (await value(engine, "a"), await value(engine, "b")) == (1, 1)


@pytest.mark.parametrize("name", ["nul \0 character", "longer than the twenty characters of the column"])
async def test_a_value_that_cannot_be_stored_is_the_callers_fault(engine: AsyncEngine, name: str) -> None:
    with structlog.testing.capture_logs() as lines, pytest.raises(BadRequest) as caught:
        async with Database(engine).write() as session:
            await session.execute(text("INSERT INTO counters VALUES (:name, 1)"), {"name": name})
    assert name not in str(lines) + caught.value.message


@pytest.mark.parametrize("number", [2**31, 2**70])
async def test_a_number_that_is_too_big_as_well(engine: AsyncEngine, number: int) -> None:
    with structlog.testing.capture_logs() as lines, pytest.raises(BadRequest):
        async with Database(engine).write() as session:
            await session.execute(text("UPDATE counters SET value = :number"), {"number": number})
    assert str(number) not in str(lines)


async def test_a_server_that_freezes_costs_a_deadline_and_no_more(
    server: PostgresServer, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "TRANSACTION_S", 0.5)
    assert await value(engine) == 0
    server.freeze()
    try:
        async with asyncio.timeout(15):
            for _ in range(2):
                with pytest.raises(Unavailable):
                    await value(engine)
    finally:
        server.thaw()
    monkeypatch.setattr(databases, "TRANSACTION_S", 10)
    assert await value(engine) == 0


class Writer:
    """Writes rows one after the other, each under an id of its own, until told to stop."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._database = Database(engine)
        self.acknowledged: list[str] = []
        self.unknown: list[str] = []
        self.stopped = asyncio.Event()

    async def run(self) -> None:
        while not self.stopped.is_set():
            row = str(uuid.uuid4())
            try:
                await self.write(row)
            except Unavailable:
                self.unknown.append(row)
                await asyncio.sleep(0.01)
            else:
                self.acknowledged.append(row)

    async def write(self, row: str) -> None:
        async with self._database.write() as session:
            await session.execute(text("INSERT INTO written VALUES (:row)"), {"row": row})

    async def until(self, count: int) -> None:
        async def has_written() -> bool:
            return len(self.acknowledged) >= count

        await eventually(has_written, timeout_s=30)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["restart", "kill"])
async def test_a_restart_under_load_loses_nothing_and_doubles_nothing(
    server: PostgresServer, engine: AsyncEngine, how: str
) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE written (row VARCHAR(36) PRIMARY KEY)"))
    writers = [Writer(engine) for _ in range(8)]
    async with asyncio.timeout(40), asyncio.TaskGroup() as tasks:
        for writer in writers:
            tasks.create_task(writer.run())
        for count in (20, 40, 60):
            await asyncio.gather(*(writer.until(count) for writer in writers))
            if how == "kill":
                server.kill()
                server.start()
            else:
                server.restart()
        await asyncio.gather(*(writer.until(80) for writer in writers))
        for writer in writers:
            writer.stopped.set()
    async with engine.connect() as connection:
        there = list(await connection.scalars(text("SELECT row FROM written")))
    acknowledged = {row for writer in writers for row in writer.acknowledged}
    unknown = {row for writer in writers for row in writer.unknown}
    assert len(there) == len(set(there))
    assert unknown
    assert acknowledged <= set(there) <= acknowledged | unknown
    for row in unknown:  # a second try under the same id tells
        try:
            await writers[0].write(row)
        except IntegrityError:
            assert row in there
        else:
            assert row not in there


# --- the replica ------------------------------------------------------------------------------------------------


async def test_reports_come_from_the_replica_and_decisions_do_not(
    engine: AsyncEngine, postgres: PostgresServer
) -> None:
    with postgres.database() as elsewhere:
        async with opened(url(elsewhere)) as replica:
            await make_counters(replica)
            database = Database(engine, replica=replica)
            async with database.write() as session:
                await session.execute(ADD, {"name": "a"})
            wanted = text("SELECT value FROM counters WHERE name = 'a'")
            async with database.read_replica() as session:
                assert await session.scalar(wanted) == 0
            async with database.read() as session:
                assert await session.scalar(wanted) == 1


async def test_a_replica_that_is_away_is_done_without(engine: AsyncEngine) -> None:
    nowhere = make_url(f"postgresql+asyncpg://u:secret@127.0.0.1:{free_port()}/x")
    async with opened(nowhere) as replica:
        database = Database(engine, replica=replica)
        with structlog.testing.capture_logs() as lines:
            for _ in range(3):
                async with database.read_replica() as session:
                    assert await session.scalar(text("SELECT value FROM counters WHERE name = 'a'")) == 0
    assert [line["event"] for line in lines] == ["replica_away"]
    assert "secret" not in str(lines)
