"""`hyperinfer db` on each kind of database: what it says, its exit codes, and that it shows no secret."""

import asyncio
import json
import re
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from hyperinfer.cli.root import run
from hyperinfer.facilities.store import migrate, opened, url_of
from hyperinfer.facilities.store.migrate import newest_revision, revisions
from hyperinfer.kernel.paths import locked, paths_of
from hyperinfer.workers.auth.config import AuthSettings
from hyperinfer.workers.auth.store import MIGRATIONS

FIRST, NEWEST = revisions(MIGRATIONS)[0], newest_revision(MIGRATIONS)


@dataclass(frozen=True)
class Done:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Done]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HYPERINFER_HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "xdg"))
    monkeypatch.setenv("DATABASE_URL", database_url)
    for name in ("DEBUG", "NO_COLOR", "PORT"):
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.fixture
def command(home: Path, capfd: pytest.CaptureFixture[str]) -> Command:
    def start(*arguments: str) -> Done:
        capfd.readouterr()
        code = run(arguments)
        said = capfd.readouterr()
        return Done(code, said.out, said.err)

    return start


@pytest.fixture
def auth(home: Path, command: Command) -> Path:
    """Auth's data folder, with a swarm and an administrator."""
    assert command("swarm", "init").code == 0
    assert command("users", "create-admin").code == 0
    return home / "data" / "auth"


def statement(database_url: str, *statements: str) -> None:
    """Do something to the database that nobody should."""

    async def work() -> None:
        async with opened(url_of(database_url, default=Path())) as engine, engine.connect() as connection:
            for one in statements:
                await connection.execute(text(one))
            await connection.commit()

    asyncio.run(work())


# --- upgrade --------------------------------------------------------------------------------------------------------


def test_a_database_is_made_upgraded_and_left_alone(command: Command, database_url: str) -> None:
    async def at_first() -> None:
        async with opened(url_of(database_url, default=Path())) as engine:
            await migrate(engine, MIGRATIONS, revision=FIRST)

    asyncio.run(at_first())
    assert f"from revision {FIRST} to {NEWEST}" in command("db", "upgrade").out
    assert f"at revision {NEWEST}" in command("db", "upgrade").out
    assert command("db", "upgrade", "--json").json == {"before": NEWEST, "now": NEWEST}


def test_a_database_is_made_where_there_is_none(command: Command) -> None:
    assert command("db", "upgrade").out == f"The database was made, at revision {NEWEST}.\n"


def test_auth_must_not_run_for_it(command: Command, home: Path) -> None:
    with locked(paths_of("auth", AuthSettings(), home=home)):
        done = command("db", "upgrade")
    assert (done.code, done.out) == (1, "")
    assert "Another worker runs" in done.err


# --- backup and restore -----------------------------------------------------------------------------------------------


def test_a_backup_comes_back_elsewhere(
    command: Command, auth: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = command("db", "backup", str(home))
    assert done.code == 0
    assert "It holds secrets" in done.err
    (file,) = home.glob("hyperinfer-*.tar.gz")
    assert str(file) in done.out
    monkeypatch.setenv("HYPERINFER_HOME", str(home / "elsewhere"))
    monkeypatch.delenv("DATABASE_URL")
    restored = command("db", "restore", str(file))
    assert restored.code == 0
    assert re.match(r"Restored \d+ rows as of 20", restored.out)
    assert "members list" in restored.err
    assert command("db", "check").code == 0
    again = command("db", "restore", str(file))
    assert (again.code, again.out) == (1, "")
    assert "--force" in again.err
    forced = command("db", "restore", str(file), "--force", "--json").json
    assert forced["kept_swarm"] is True
    assert Path(forced["set_aside"][0]).exists()


def test_for_programs_it_says_what_there_is(command: Command, auth: Path, home: Path) -> None:
    made = command("db", "backup", str(home / "mine"), "--json").json
    assert made["file"] == str(home / "mine")
    assert made["rows"]["users"] == 1
    assert made["revision"] == NEWEST
    assert "swarm/root.key" in made["files"]
    assert made["bytes"] == (home / "mine").stat().st_size
    again = command("db", "backup", str(home / "mine"))
    assert again.code == 1
    assert "never replaces" in again.err


def test_no_secret_is_shown(command: Command, auth: Path, home: Path, database_url: str) -> None:
    said = [
        command("db", "backup", str(home / "a")),
        command("db", "backup", str(home / "b"), "--json"),
        command("db", "check"),
        command("db", "restore", str(home / "a")),
        command("db", "restore", str(home / "a"), "--force"),
        command("db", "restore", str(home / "b"), "--force", "--json"),
        command("db", "upgrade"),
    ]
    seeds = [path for path in home.rglob("*") if path.is_file() and path.stat().st_size == 32]
    secrets = {path.read_bytes().hex() for path in seeds}
    password = re.search(r"//\w+:(\w+)@", database_url)
    secrets |= {password[1]} if password else set()
    everything = "".join(done.out + done.err for done in said)
    assert len(secrets) >= 3
    assert not [secret for secret in secrets if secret in everything]
    assert "argon2" not in everything


class Terminal:
    """Standard error as a terminal has it."""

    def __init__(self) -> None:
        self.shown = ""

    def write(self, words: str) -> int:
        self.shown += words
        return len(words)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return True


def test_on_a_terminal_a_bar_says_how_far_it_is(
    command: Command, auth: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert run(("db", "backup", str(home / "a"))) == 0
    assert "Backing up" in terminal.shown
    assert "100%" in terminal.shown


# --- check -------------------------------------------------------------------------------------------------------------


def problems(done: Done) -> dict[str, str]:
    return {one["what"]: one["problem"] for one in done.json if not one["ok"]}


def test_a_sound_database_passes(command: Command, auth: Path) -> None:
    done = command("db", "check")
    assert done.code == 0
    assert f"revision {NEWEST}" in done.out
    assert problems(command("db", "check", "--json")) == {}


def test_a_check_makes_nothing(command: Command, home: Path) -> None:
    done = command("db", "check")
    assert done.code == 1
    assert "no database yet" in done.out or "no tables yet" in done.out
    assert not (home / "data").exists()


def test_files_that_others_may_read_are_found(command: Command, auth: Path) -> None:
    (auth / "identity").touch()
    (auth / "identity").chmod(0o644)
    auth.chmod(0o755)
    found = command("db", "check", "--json")
    assert found.code == 1
    assert "chmod 600" in problems(found)["identity"]
    assert str(auth) in problems(found)["owner alone"]


def test_a_signing_key_that_is_gone_or_anothers_is_found(command: Command, auth: Path) -> None:
    (seed,) = (auth / "jwt").glob("*.key")
    seed.write_bytes(bytes(32))
    assert "not the one that the database names" in problems(command("db", "check", "--json"))["signing keys"]
    seed.unlink()
    assert "log in again" in problems(command("db", "check", "--json"))["signing keys"]


def test_tables_that_are_not_as_they_should_be_are_found(command: Command, auth: Path, database_url: str) -> None:
    statement(database_url, "CREATE TABLE not_ours (a INTEGER)")
    assert problems(command("db", "check", "--json")) == {}
    statement(database_url, "ALTER TABLE users DROP COLUMN limits", "DELETE FROM heads")
    found = problems(command("db", "check", "--json"))
    assert "1 differences" in found["tables"]
    assert "0 rows instead of one" in found["directory"]


def test_a_database_of_an_older_version_is_said(command: Command, auth: Path, database_url: str) -> None:
    statement(database_url, f"UPDATE alembic_version SET version_num = '{FIRST}'")
    assert "hyperinfer db upgrade" in problems(command("db", "check", "--json"))["database"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_rows_without_their_parents_are_found(command: Command, auth: Path, database_url: str) -> None:
    with sqlite3.connect(database_url.removeprefix("sqlite:///")) as connection:  # which checks no references
        connection.execute("DELETE FROM users")
    assert "1 rows of api_keys name a users row" in problems(command("db", "check", "--json"))["references"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_damaged_file_is_found(command: Command, auth: Path, database_url: str) -> None:
    file = Path(database_url.removeprefix("sqlite:///"))
    content = bytearray(file.read_bytes())
    at = content.index(b"admin@")
    page = at - at % 4096
    content[page + 3 : page + 5] = b"\xff\xff"  # how many rows the page of this one holds
    file.write_bytes(content)
    found = problems(command("db", "check", "--json"))
    assert "damaged" in str(found) or "malformed" in str(found)
