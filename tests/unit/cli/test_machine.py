"""The commands that look after this machine: swarm, members, identity, config, driver, status, users."""

import json
import os
import re
import stat
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from hyperinfer.contracts.common import Health
from hyperinfer.facilities.net.driver import install
from hyperinfer.kernel.membership import file
from hyperinfer.kernel.status import Status
from hyperinfer.testing.edge import served
from hyperinfer.testing.gateway import FakeGateway, always

from .conftest import Command

KEY = "ab" * 32
OTHER = "abababab" + "cd" * 28


@pytest.fixture
def swarm(command: Command, home: Path) -> Path:
    assert command("swarm", "init").code == 0
    return home / "data" / "swarm"


def test_a_swarm_is_made_once(command: Command, swarm: Path) -> None:
    secrets = {"root.key", "swarm.key"}
    assert {path.name for path in swarm.iterdir()} >= {*secrets, "root.pub", "epoch.json", "members.json"}
    assert all(stat.S_IMODE((swarm / name).stat().st_mode) == 0o600 for name in secrets)
    again = command("swarm", "init")
    assert again.code == 1
    assert "never replaced" in again.err


def test_a_swarm_says_its_name_and_no_secret(command: Command, home: Path) -> None:
    made = json.loads(command("swarm", "init", "--json").out)
    secrets = [(home / "data" / "swarm" / name).read_bytes().hex() for name in ("root.key", "swarm.key")]
    assert not {made["root_key"], made["auth_key"]} & set(secrets)
    assert made["folder"] == str(home / "data" / "swarm")


def test_members_come_and_go(command: Command, swarm: Path) -> None:
    assert [one.roles for one in file.read(swarm).members] == [("auth",)]
    added = command("members", "add", KEY, "--role", "processor", "--name", "gpu")
    assert added.out == "gpu (abababababab) is a member as inference.\n"
    assert command("members", "list").out.splitlines()[2].split()[:3] == ["abababababab", "gpu", "inference"]
    assert json.loads(command("members", "--json").out)[1]["public_key"] == KEY
    assert command("members", "rename", "gpu", "box").out == "gpu (abababababab) is now box (abababababab).\n"
    assert command("members", "revoke", "box").code == 0
    held = file.read(swarm)
    assert held.members[1].revoked is not None
    assert held.signed
    assert held.signed.members == held.members  # auth's identity is at hand, so it is signed at once


@pytest.mark.usefixtures("swarm")
def test_a_member_to_revoke_must_be_one(command: Command) -> None:
    for key in (KEY, OTHER):
        command("members", "add", key, "--role", "inference")
    assert "Several" in command("members", "revoke", "abababab").err
    assert "No member" in command("members", "revoke", "ababab").err
    assert command("members", "revoke", "ABABABABCD").code == 0


@pytest.mark.usefixtures("swarm")
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [(("zz", "--role", "auth"), 1, "64 hexadecimal digits"), ((KEY, "--role", "boss"), 2, "boss"), ((KEY,), 2, "role")],
)
def test_a_member_that_makes_no_sense_is_refused(
    command: Command, words: tuple[str, ...], code: int, said: str
) -> None:
    done = command("members", "add", *words)
    assert done.code == code
    assert said in done.err


def test_members_need_a_swarm(command: Command) -> None:
    done = command("members", "add", KEY, "--role", "auth")
    assert done.code == 1
    assert "hyperinfer swarm init" in done.err


def test_an_identity_is_there_before_its_worker_and_stays(command: Command, home: Path) -> None:
    first = command("identity", "processor", "--rack", "b").out.strip()
    assert re.fullmatch(r"[0-9a-f]{64}", first)
    assert command("identity", "inference", "--rack", "b").out.strip() == first
    assert command("identity", "inference").out.strip() != first
    seed = home / "data" / "inference-b" / "identity"
    assert stat.S_IMODE(seed.stat().st_mode) == 0o600
    assert seed.read_bytes().hex() != first


def test_settings_are_shown_with_where_they_came_from(
    command: Command, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "config").mkdir()
    (home / "config" / "gateway.json").write_text('{"http": {"host": "::1"}}')
    monkeypatch.setenv("PORT", "3999")
    done = command("config", "show", "gateway", "--set", "retries=5", "--json")
    rows = {row["path"]: (row["value"], row["origin"]) for row in json.loads(done.out)}
    assert rows["http.host"] == ("::1", "gateway.json")
    assert rows["http.port"] == (3999, "PORT")
    assert rows["retries"] == (5, "--set")
    assert rows["http.max_connections"][1] == "default"
    assert re.search(
        r"^retries +5 +--set$", command("config", "show", "gateway", "--set", "retries=5").out, re.MULTILINE
    )


def test_a_secret_setting_is_masked(command: Command) -> None:
    done = command("config", "show", "auth", "--set", "database_url=sqlite+aiosqlite:///hunter2")
    assert "hunter2" not in done.out
    assert "********" in done.out


def test_a_setting_that_does_not_exist_is_named(command: Command) -> None:
    done = command("config", "show", "gateway", "--set", "http.prot=1")
    assert done.code == 1
    assert "Did you mean http.port?" in done.err


def test_the_driver_is_looked_at(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(install, "folder", lambda: tmp_path / "driver")
    missing = command("driver", "status")
    assert missing.code == 1
    assert "hyperinfer driver install" in missing.out
    (tmp_path / "driver").mkdir()
    (tmp_path / "driver" / install.DONE).touch()
    done = command("driver", "status", "--json")
    assert done.code == 0
    assert json.loads(done.out)["version"].startswith("v")


def test_without_workers_status_says_what_to_start(command: Command, home: Path) -> None:
    done = command("status")
    assert (done.code, done.out) == (1, "")
    assert str(home) in done.err
    assert "hyperinfer up" in done.err


def write_status(home: Path, name: str, **addresses: str) -> None:
    file = Status(
        wtype="gateway",
        name=name,
        pid=os.getpid(),
        state="running",
        version="1",
        public_key=KEY,
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        addresses=addresses,
    )
    (home / "status").mkdir(exist_ok=True)
    (home / "status" / f"{name}.json").write_bytes(msgspec.json.encode(file))


def test_status_shows_how_each_worker_is(command: Command, home: Path) -> None:
    health = Health(status="ready", service="gateway", version="1", uptime_s=1.0, swarm="online")
    gateway = FakeGateway(getServiceHealth=always(health))
    with served(gateway) as url:
        write_status(home, "gateway", observe=url, http="http://127.0.0.1:3000")
        done = command("status")
        assert done.code == 0
        assert done.out.splitlines()[1].split() == [
            *("gateway", "ready", str(os.getpid()), "abababababab", "http://127.0.0.1:3000")
        ]
        assert "swarm: online" in done.out
        health = Health(status="degraded", service="gateway", version="1", uptime_s=1.0, reasons=("No model.",))
        gateway.answers["getServiceHealth"] = always(health)
        done = command("status")
        assert done.code == 1
        assert "gateway: No model." in done.out
    silent = command("status", "--json")
    assert silent.code == 1
    assert json.loads(silent.out)[0]["state"] == "silent"


def test_an_administrator_is_made_and_then_given_a_new_password(command: Command, home: Path) -> None:
    made = json.loads(command("users", "create-admin", "--json").out)
    assert made["username"] == "admin"
    assert made["api_key"].startswith("hi_")
    again = command("users", "create-admin")
    assert again.code == 0
    assert made["password"] not in again.out
    assert "API key" not in again.out
    assert stat.S_IMODE((home / "data" / "auth").stat().st_mode) == 0o700
