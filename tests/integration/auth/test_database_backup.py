"""Backups of auth on each kind of database: whole while it is written to, restored anywhere, and refused when damaged."""

import asyncio
import gzip
import hashlib
import io
import json
import secrets
import stat
import tarfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Table, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from hyperinfer.contracts.auth import Login
from hyperinfer.errors import Conflict, StartError
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.facilities.store import Database, migrate, opened, url_of
from hyperinfer.facilities.store.dump import Column, Kind, columns_of, lines
from hyperinfer.facilities.store.engine import reading, writing
from hyperinfer.facilities.store.migrate import revisions
from hyperinfer.kernel import identity as identities
from hyperinfer.kernel import swarm as swarms
from hyperinfer.kernel.files import write_atomic
from hyperinfer.kernel.paths import Paths, locked, paths_of
from hyperinfer.testing.servers import PostgresServer
from hyperinfer.workers.auth.admin import create_admin
from hyperinfer.workers.auth.audit import heads, marks
from hyperinfer.workers.auth.audit.key import FILE as AUDIT_KEY
from hyperinfer.workers.auth.backup import restoring
from hyperinfer.workers.auth.backup.archive import Manifest, TablePart
from hyperinfer.workers.auth.backup.making import Made, make_backup
from hyperinfer.workers.auth.backup.restoring import Restored, restore
from hyperinfer.workers.auth.config import AuthSettings
from hyperinfer.workers.auth.models import ApiKeyRow, Base, Heads, User
from hyperinfer.workers.auth.parts import parts_on
from hyperinfer.workers.auth.store import MIGRATIONS

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
SQLITE = AuthSettings()


@dataclass(frozen=True)
class Machine:
    """A machine where auth lives, or will."""

    paths: Paths
    settings: AuthSettings

    @property
    def data(self) -> Path:
        return self.paths.data

    @asynccontextmanager
    async def database(self) -> AsyncIterator[AsyncEngine]:
        self.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        async with opened(url_of(self.settings.database_url, default=self.data / "auth.sqlite")) as engine:
            await migrate(engine, MIGRATIONS)
            yield engine

    async def rows(self) -> dict[str, list[bytes]]:
        """Every row of every table but the id of the directory, which is to change."""
        async with self.database() as engine, reading(engine).connect() as connection:
            found = {of.name: [line async for line in lines(connection, of)] for of in Base.metadata.sorted_tables}
        (head,) = found["heads"]
        return {**found, "heads": [msgspec.json.encode(msgspec.json.decode(head)[2:])]}

    async def directory_id(self) -> str:
        async with self.database() as engine, engine.connect() as connection:
            return str(await connection.scalar(select(Heads.directory_id)))

    async def backup(self, target: Path) -> Made:
        return await make_backup(self.paths, self.settings, target, now=NOW)

    async def restore(self, source: Path, *, force: bool = False) -> Restored:
        return await restore(self.paths, self.settings, source, now=NOW, force=force)

    def files(self) -> dict[str, bytes]:
        """Everything on its disk."""
        home = self.data.parent.parent
        return {
            str(path.relative_to(home)): path.read_bytes()
            for path in home.rglob("*")
            if path.is_file() and not path.name.startswith(".") and path.name != "lock"
        }


def left_behind(folder: Path) -> list[Path]:
    """What a command has made for itself and should have removed."""
    return [path for pattern in (".hyperinfer-*", ".*restoring*") for path in folder.rglob(pattern)]


def machine(home: Path, database_url: str | None = None) -> Machine:
    settings = AuthSettings(database_url=database_url)
    return Machine(paths_of("auth", settings, home=home), settings)


def secrets_of(place: Machine) -> None:
    """What a machine has made when auth has run on it."""
    place.data.mkdir(parents=True, mode=0o700)
    identities.load_or_create(place.paths.identity)
    write_atomic(place.data / AUDIT_KEY, secrets.token_bytes(32), mode=0o600)
    swarms.create(place.paths.swarm)


@pytest.fixture
def one(tmp_path: Path, database_url: str) -> Machine:
    """A machine with auth, on each kind of database."""
    place = machine(tmp_path / "one", database_url)
    secrets_of(place)
    return place


@pytest.fixture
def two(tmp_path: Path) -> Machine:
    """A new machine, where SQLite will do."""
    return machine(tmp_path / "two")


# --- a database with something in every column -------------------------------------------------------------------

VALUES: dict[Kind, Callable[[int], Any]] = {
    "uuid": lambda number: f"019a0000-0000-7000-8000-{number:012x}",
    "time": lambda number: datetime(2026, 11, 1 + number, 23, 59, 59, 999999 - number, tzinfo=UTC),
    "date": lambda number: date(2026, 11, 1 + number),
    "boolean": lambda number: bool(number % 2),
    "integer": lambda number: 2**40 + number,
    "number": lambda number: 0.1 + number,
    "json": lambda number: {"é": [None, True, 1.5, {"n": number}]},
    "text": lambda number: f"ä'\"\\;-- \n{number}",
}
SMALL = {"heads": {"id": 1}}
ROWS = 3


def sample(of: Table, number: int) -> dict[str, Any]:
    """A row of a table; where a column may be empty, every third row leaves it so."""
    row: dict[str, Any] = {}
    for column, described in zip(of.columns, columns_of(of), strict=True):
        keys = list(column.foreign_keys)
        may_be_empty = bool(column.nullable) and number % 3 == 2
        value = VALUES["uuid"](number) if keys else VALUES[described.kind](number)
        if described.kind == "text" and isinstance(length := getattr(column.type, "length", None), int):
            value = f"{number}ä'\"\\;\n"[:length]
        row[column.name] = None if may_be_empty else value
    return row | SMALL.get(of.name, {})


def table_of(model: type[Base]) -> Table:
    return Base.metadata.tables[model.__tablename__]


async def fill(place: Machine) -> None:
    async with place.database() as engine, writing(engine).begin() as connection:
        for of in reversed(Base.metadata.sorted_tables):
            await connection.execute(of.delete())
        for of in Base.metadata.sorted_tables:
            rows = 1 if of.name in SMALL else ROWS
            await connection.execute(insert(of), [sample(of, number) for number in range(rows)])


async def test_a_backup_goes_from_any_kind_of_database_to_any_other_and_back(
    one: Machine, tmp_path: Path, postgres: PostgresServer
) -> None:
    await fill(one)
    before = await one.rows()
    assert all(before.values())
    made = await one.backup(tmp_path)
    assert made.manifest.rows == sum(map(len, before.values()))
    with postgres.database() as url:
        for place in (machine(tmp_path / "two"), machine(tmp_path / "three", url)):
            await place.restore(made.file)
            assert await place.rows() == before
            again = await place.backup(tmp_path / f"{place.data.parent.parent.name}.tar.gz")
            back = machine(tmp_path / f"back-from-{place.data.parent.parent.name}")
            await back.restore(again.file)
            assert await back.rows() == before


async def test_a_backup_is_its_owners_alone_and_says_what_it_is(one: Machine, tmp_path: Path) -> None:
    await fill(one)
    made = await one.backup(tmp_path / "mine")
    assert stat.S_IMODE(made.file.stat().st_mode) == 0o600
    assert made.sha256 == hashlib.sha256(made.file.read_bytes()).hexdigest()
    with tarfile.open(made.file) as archive:
        assert {member.mode for member in archive} == {0o600}
        names = set(archive.getnames())
    assert {"manifest.json", "auth/identity", "auth/audit.key", "swarm/root.key", "swarm/swarm.key"} <= names
    with pytest.raises(Conflict, match="never replaces"):
        await one.backup(made.file)
    assert left_behind(tmp_path) == []


async def test_there_is_nothing_to_back_up_before_the_first_start(two: Machine, tmp_path: Path) -> None:
    with pytest.raises(StartError, match="no database yet"):
        await two.backup(tmp_path / "x")
    assert not two.data.exists()


async def test_a_database_of_another_revision_is_not_backed_up(one: Machine, tmp_path: Path) -> None:
    async with one.database() as engine:
        for revision, sentence in ((revisions(MIGRATIONS)[0], "db upgrade"), ("9999", "newer version")):
            async with engine.begin() as connection:
                await connection.execute(text("UPDATE alembic_version SET version_num = :new"), {"new": revision})
            with pytest.raises(StartError, match=sentence):
                await one.backup(tmp_path / "x")


# --- while it is written to ------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_a_backup_is_of_one_moment_while_people_come(one: Machine, two: Machine, tmp_path: Path) -> None:
    """Each comes with a key in one transaction, and is counted in it: all three numbers must agree in the backup."""
    stop = asyncio.Event()

    async def come(database: Database, name: int) -> None:
        user = sample(table_of(User), 0) | {"id": VALUES["uuid"](name), "username": f"u{name}", "email": f"e{name}"}
        key = sample(table_of(ApiKeyRow), 0) | {"id": user["id"], "user_id": user["id"], "public_id": f"{name:08}"}
        async with database.write() as session:
            head = (await session.scalars(select(Heads).with_for_update())).one()
            head.directory_seq += 1
            await session.execute(insert(User), user)
            await session.execute(insert(ApiKeyRow), key)

    async def load(engine: AsyncEngine, part: int) -> int:
        database, name = Database(engine), 0
        while not stop.is_set():
            await come(database, part * 100_000 + name)
            name += 1
        return name

    async with one.database() as engine, asyncio.TaskGroup() as tasks:
        loads = [tasks.create_task(load(engine, part)) for part in range(3)]
        made = [await one.backup(tmp_path / f"{number}.tar.gz") for number in range(3)]
        stop.set()
    total = sum(task.result() for task in loads)
    counts = []
    for number, backup in enumerate(made):
        place = machine(tmp_path / f"restored-{number}")
        await place.restore(backup.file)
        async with place.database() as engine, engine.connect() as connection:
            users, keys, seq = [
                await connection.scalar(asked) or 0
                for asked in (
                    select(func.count()).select_from(User),
                    select(func.count()).select_from(ApiKeyRow),
                    select(Heads.directory_seq),
                )
            ]
        assert users == keys == seq
        counts.append(users)
    assert counts == sorted(counts)
    assert counts[-1] <= total


async def test_people_log_in_with_their_old_passwords_and_keys(one: Machine, two: Machine, tmp_path: Path) -> None:
    made = await create_admin(one.data, one.settings)
    async with parts_on(one.data, one.settings, SystemClock()):  # it runs meanwhile
        backup = await one.backup(tmp_path)
    await two.restore(backup.file)
    async with parts_on(two.data, two.settings, SystemClock()) as parts:
        session = await parts.sessions.login(Login(username="admin", password=made.password))
        assert session.account.id == made.account.id
        assert (await parts.keys.validate(made.key or "")).principal.user_id == made.account.id
    assert (two.data / "identity").read_bytes() == (one.data / "identity").read_bytes()
    assert (two.paths.swarm / "root.key").read_bytes() == (one.paths.swarm / "root.key").read_bytes()


async def test_gateways_are_told_to_read_the_directory_anew(one: Machine, two: Machine, tmp_path: Path) -> None:
    await fill(one)
    backup = await one.backup(tmp_path)
    await two.restore(backup.file)
    first = await two.directory_id()
    await two.restore(backup.file, force=True)
    assert len({await one.directory_id(), first, await two.directory_id()}) == 3


# --- what a restore refuses ----------------------------------------------------------------------------------------


async def test_what_is_somebodys_is_replaced_by_force_only(one: Machine, tmp_path: Path) -> None:
    await fill(one)
    backup = await one.backup(tmp_path)
    async with one.database() as engine, writing(engine).begin() as connection:
        await connection.execute(text("UPDATE users SET tier = 'premium'"))
    changed = await one.rows()
    with pytest.raises(Conflict, match="--force"):
        await one.restore(backup.file)
    assert await one.rows() == changed
    done = await one.restore(backup.file, force=True)
    assert await one.rows() != changed
    is_sqlite = (one.settings.database_url or "").startswith("sqlite")
    assert len(done.set_aside) == (1 if is_sqlite else 0)
    if is_sqlite:
        kept = url_of(f"sqlite:///{done.set_aside[0]}", default=Path())
        async with opened(kept) as engine, engine.connect() as connection:
            assert set(await connection.scalars(text("SELECT tier FROM users"))) == {"premium"}


async def test_it_waits_for_nobody_who_runs_on_the_folder(one: Machine, tmp_path: Path) -> None:
    await fill(one)
    backup = await one.backup(tmp_path)
    with locked(one.paths), pytest.raises(StartError, match="Another worker runs"):
        await one.restore(backup.file, force=True)


async def test_nor_on_the_server(tmp_path: Path, postgres_url: str) -> None:
    here, elsewhere = machine(tmp_path / "one", postgres_url), machine(tmp_path / "two", postgres_url)
    secrets_of(here)
    await fill(here)
    backup = await here.backup(tmp_path)
    async with elsewhere.database():
        with pytest.raises(StartError, match="Auth runs on this database"):
            await here.restore(backup.file, force=True)


async def test_other_tables_of_the_database_are_left_alone(tmp_path: Path, postgres_url: str) -> None:
    place = machine(tmp_path / "one", postgres_url)
    secrets_of(place)
    await fill(place)
    backup = await place.backup(tmp_path)
    async with place.database() as engine, engine.begin() as connection:
        await connection.execute(text("CREATE TABLE not_ours (a INTEGER)"))
    await place.restore(backup.file, force=True)
    async with place.database() as engine, engine.connect() as connection:
        assert (await connection.execute(text("SELECT * FROM not_ours"))).all() == []


async def test_a_damaged_database_is_replaced_by_force_and_kept(two: Machine, tmp_path: Path) -> None:
    secrets_of(two)
    await fill(two)
    before, backup = await two.rows(), await two.backup(tmp_path)
    file = two.data / "auth.sqlite"
    file.write_bytes(b"damaged" * 1000)
    with pytest.raises(Conflict):
        await two.restore(backup.file)
    done = await two.restore(backup.file, force=True)
    assert await two.rows() == before
    assert done.set_aside[0].read_bytes() == b"damaged" * 1000


Members = dict[str, bytes]


def taken_apart(file: Path) -> Members:
    with tarfile.open(file) as archive:
        return {name: archive.extractfile(name).read() for name in archive.getnames()}  # type: ignore[union-attr]


def put_together(members: Members, target: Path) -> Path:
    with tarfile.open(target, "w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return target


def without(members: Members, name: str) -> Members:
    return {other: content for other, content in members.items() if other != name}


def altered(members: Members, name: str, content: bytes) -> Members:
    """With another content, of which the manifest knows nothing."""
    return {**members, name: content}


def forged(members: Members, name: str, content: bytes) -> Members:
    """With another content and a manifest that says the same."""
    manifest = json.loads(members["manifest.json"])
    for part in (*manifest["tables"], *manifest["files"]):
        if part["name"] == name:
            part |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    return {**members, "manifest.json": json.dumps(manifest).encode(), name: content}


def renamed(members: Members, old: str, new: str) -> Members:
    manifest = members["manifest.json"].replace(json.dumps(old).encode(), json.dumps(new).encode())
    return {new if name == old else name: content for name, content in members.items()} | {"manifest.json": manifest}


def said(members: Members, **facts: Any) -> Members:
    return {**members, "manifest.json": json.dumps({**json.loads(members["manifest.json"]), **facts}).encode()}


USERS = "tables/users.jsonl"
DAMAGES: dict[str, Callable[[Members], Members]] = {
    "a row altered": lambda parts: altered(parts, USERS, parts[USERS].replace(b"019a", b"019b", 1)),
    "a row more": lambda parts: altered(parts, USERS, parts[USERS] * 2),
    "a key altered": lambda parts: altered(parts, "auth/identity", bytes(32)),
    "a table missing": lambda parts: without(parts, USERS),
    "a file more": lambda parts: {**parts, "auth/more": b"x"},
    "no manifest": lambda parts: without(parts, "manifest.json"),
    "a manifest of nothing": lambda parts: {**parts, "manifest.json": b"{}"},
    "a manifest at the end": lambda parts: {**without(parts, "manifest.json"), **parts},
    "another format": lambda parts: said(parts, format="hyperinfer backup 2"),
    "a newer revision": lambda parts: said(parts, revision="9999"),
    "a way out of the folder": lambda parts: renamed(parts, "auth/identity", "auth/../../identity"),
    "an absolute path": lambda parts: renamed(parts, "auth/identity", "/tmp/identity"),
    "a row without its parent": lambda parts: forged(parts, USERS, b""),
    "a row twice": lambda parts: forged(parts, USERS, parts[USERS] * 2),
    "a row of other columns": lambda parts: forged(parts, USERS, b"[1,2]\n"),
    "a row that is no JSON": lambda parts: forged(parts, USERS, b"{\n"),
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_an_altered_backup_changes_nothing(one: Machine, tmp_path: Path, damage: str) -> None:
    await fill(one)
    members = taken_apart((await one.backup(tmp_path)).file)
    if damage == "a manifest at the end":
        members = {
            **{n: c for n, c in members.items() if n != "manifest.json"},
            "manifest.json": members["manifest.json"],
        }
    else:
        members = DAMAGES[damage](members)
    source = put_together(members, tmp_path / "altered.tar.gz")
    (one.data / "identity").write_bytes(secrets.token_bytes(32))
    rows = await one.rows()
    files = one.files()
    with pytest.raises(StartError) as caught:
        await one.restore(source, force=True)
    assert str(source) in caught.value.message
    assert await one.rows() == rows
    assert one.files() == files
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9, 0.999])
async def test_a_truncated_backup_changes_nothing(two: Machine, tmp_path: Path, kept: float) -> None:
    secrets_of(two)
    await fill(two)
    content = (await two.backup(tmp_path)).file.read_bytes()
    source = tmp_path / "truncated.tar.gz"
    source.write_bytes(content[: int(len(content) * kept)])
    rows = await two.rows()
    with pytest.raises(StartError, match="no whole backup"):
        await two.restore(source, force=True)
    assert await two.rows() == rows


@pytest.mark.parametrize(
    "content", [b"", b"hello", gzip.compress(b"hello" * 1000)], ids=["nothing", "words", "packed words"]
)
async def test_what_is_no_backup_is_refused(two: Machine, tmp_path: Path, content: bytes) -> None:
    source = tmp_path / "x"
    source.write_bytes(content)
    with pytest.raises(StartError, match="no whole backup"):
        await two.restore(source)
    with pytest.raises(StartError, match="no file"):
        await two.restore(tmp_path / "missing")


# --- an older backup -------------------------------------------------------------------------------------------------


async def test_a_backup_of_the_first_revision_is_brought_up_to_date(one: Machine, tmp_path: Path) -> None:
    first = (
        Column("id", "uuid"),
        Column("username", "text"),
        Column("email", "text"),
        Column("password_hash", "text"),
        Column("role", "text"),
        Column("tier", "text"),
        Column("created_at", "time"),
        Column("is_active", "boolean"),
    )
    row = [VALUES["uuid"](7), "zoë", "zoë@example.org", "$argon2id$…", "admin", "unlimited", NOW, True]
    content = msgspec.json.encode(row) + b"\n"
    part = TablePart(
        name=USERS,
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        table="users",
        rows=1,
        columns=first,
    )
    manifest = Manifest("hyperinfer backup 1", NOW, "0.1.0", "0001", "sqlite", (part,), ())
    members = {"manifest.json": msgspec.json.encode(manifest), USERS: content}
    await one.restore(put_together(members, tmp_path / "old.tar.gz"))
    async with one.database() as engine, engine.connect() as connection:
        user = (await connection.execute(select(User.__table__))).one()
        assert (user.username, user.created_at, user.limits) == ("zoë", NOW, None)
        assert len((await connection.execute(select(Heads.__table__))).all()) == 1


# --- whose files --------------------------------------------------------------------------------------------------


async def test_the_machines_own_members_are_not_taken_back(two: Machine, tmp_path: Path) -> None:
    secrets_of(two)
    await fill(two)
    (two.paths.swarm / "members.json").write_text("then")
    backup = await two.backup(tmp_path)
    (two.paths.swarm / "members.json").write_text("now, with somebody revoked")
    done = await two.restore(backup.file, force=True)
    assert done.kept_swarm
    assert (two.paths.swarm / "members.json").read_text() == "now, with somebody revoked"


async def test_published_heads_of_the_same_log_stay_and_are_said_to_be_void(two: Machine, tmp_path: Path) -> None:
    secrets_of(two)
    await fill(two)
    backup = await two.backup(tmp_path)
    (two.data / heads.FILE).write_bytes(b"published since\n")
    await two.restore(backup.file, force=True)
    assert (two.data / heads.FILE).read_bytes() == b"published since\n"
    assert [mark.kind for mark in marks.read(two.data)] == ["restored"]


async def test_into_a_machine_of_another_swarm_by_force_only(one: Machine, two: Machine, tmp_path: Path) -> None:
    await fill(one)
    backup = await one.backup(tmp_path)
    secrets_of(two)
    own = {name: (two.data.parent / name).read_bytes() for name in ("auth/identity", "swarm/root.key")}
    before = two.files()
    with pytest.raises(Conflict, match="another swarm"):
        await two.restore(backup.file)
    assert two.files() == before
    done = await two.restore(backup.file, force=True)
    assert {name: (two.data.parent / name).read_bytes() for name in own} == own
    assert (two.data / AUDIT_KEY).read_bytes() == (one.data / AUDIT_KEY).read_bytes()
    assert [path.name.partition(".replaced")[0] for path in done.set_aside] == [AUDIT_KEY]
    assert await two.rows() == await one.rows()


async def test_files_are_put_back_if_the_rows_cannot_be_kept(
    two: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets_of(two)
    await fill(two)
    backup = await two.backup(tmp_path)
    (two.data / AUDIT_KEY).write_bytes(bytes(32))
    before, rows = two.files(), await two.rows()

    def full(folder: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(restoring, "sync_folder", full)
    with pytest.raises(StartError, match="No space left"):
        await two.restore(backup.file, force=True)
    monkeypatch.undo()
    after = two.files()
    # Opening a database to look at it writes what SQLite keeps of its own; its rows are those of before.
    assert {name: after[name] for name in before if not name.endswith(".sqlite")} == {
        name: content for name, content in before.items() if not name.endswith(".sqlite")
    }
    assert after.keys() == before.keys()
    assert await two.rows() == rows
