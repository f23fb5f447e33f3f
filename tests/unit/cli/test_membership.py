"""The commands by which machines come to a swarm and leave it: invite, join, link, and swarm with its recovery."""

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hyperinfer.kernel import swarm
from hyperinfer.kernel.identity import load_or_create
from hyperinfer.kernel.membership import epochs, file, invites
from hyperinfer.protocol import join_code, links
from hyperinfer.protocol.links import GatewayLink, SwarmLink

from .conftest import Command

KEY = "ab" * 32


@pytest.fixture
def folder(command: Command, home: Path) -> Path:
    assert command("swarm", "init").code == 0
    return home / "data" / "swarm"


def test_a_swarm_is_made_with_its_auth(command: Command, folder: Path, home: Path) -> None:
    auth = load_or_create(home / "data" / "auth" / "identity")
    held = file.read(folder)
    assert [(one.key, one.roles) for one in held.members] == [(auth.public_key, ("auth",))]
    assert file.prove(folder, held.published).epoch.auth == auth.public_key.hex()
    shown = json.loads(command("swarm", "show", "--json").out)
    assert (shown["auth_key"], shown["epoch"], shown["members"]) == (auth.public_key.hex(), 1, 1)
    assert "auth, with the root key" in command("swarm", "show").out
    (folder / "root.key").unlink()
    assert "auth, without the root key" in command("swarm", "show").out


def test_an_invite_is_one_word_and_says_all(command: Command, folder: Path, home: Path) -> None:
    done = command("invite", "--role", "processor", "--name", "gpu", "--expires", "30m")
    assert done.code == 0
    assert "hyperinfer join CODE" in done.err
    (word,) = done.out.split()
    code = join_code.decode(word)
    assert (code.role, code.bootstrap) == ("inference", ())
    assert code.swarm_key == swarm.load(folder).key
    assert code.root_key == swarm.root_public_key(folder)
    assert code.auth_key == load_or_create(home / "data" / "auth" / "identity").public_key
    assert timedelta(minutes=29) < code.expires - datetime.now(UTC) <= timedelta(minutes=30)
    kept = (folder / invites.FILE).read_bytes()
    assert code.seed not in kept
    assert code.seed.hex().encode() not in kept
    assert stat.S_IMODE((folder / invites.FILE).stat().st_mode) == 0o600


@pytest.mark.usefixtures("folder")
def test_a_code_brings_the_nodes_of_a_private_dht(command: Command) -> None:
    done = command("invite", "--role", "gateway", "--json", "--set", "net.bootstrap=192.168.1.10:49737")
    assert join_code.decode(json.loads(done.out)["code"]).bootstrap == ("192.168.1.10:49737",)


def test_invites_are_listed_and_taken_back(command: Command, folder: Path) -> None:
    assert "no invite yet" in command("invite", "list").err
    made = json.loads(command("invite", "--role", "inference", "--json").out)
    assert "code" not in json.loads(command("invite", "list", "--json").out)[0]
    assert command("invite", "list").out.splitlines()[1].split()[:4] == [made["id"][:12], "inference", "-", "open"]
    assert command("invite", "revoke", made["id"][:12]).code == 0
    assert json.loads(command("invite", "list", "--json").out)[0]["state"] == "revoked"
    again = command("invite", "revoke", made["id"])
    assert (again.code, "No open invite" in again.err) == (1, True)
    assert invites.read(folder)[0].revoked is not None


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "--role"),
        (("--role", "auth"), 2, "auth"),
        (("--role", "gateway", "--expires", "8d"), 1, "7 days at most"),
        (("--role", "gateway", "--expires", "0m"), 1, "7 days at most"),
        (("--role", "gateway", "--expires", "soon"), 1, "such as 30m"),
        (("--role", "gateway", "--name", "a\nb"), 1, "printable"),
    ],
)
def test_an_invite_that_makes_no_sense_is_refused(
    command: Command, words: tuple[str, ...], code: int, said: str
) -> None:
    done = command("invite", *words)
    assert (done.code, done.out) == (code, "")
    assert said in done.err


def test_open_invites_are_bounded(command: Command, folder: Path) -> None:
    now = datetime.now(UTC)
    for _ in range(invites.MAX_OPEN):
        invites.create(folder, role="gateway", name="", lasts=timedelta(hours=1), now=now)
    done = command("invite", "--role", "gateway")
    assert (done.code, "invites are open" in done.err) == (1, True)
    # Those that expire make room.
    later = now + timedelta(hours=2)
    invites.create(folder, role="gateway", name="", lasts=timedelta(hours=1), now=later)
    assert len(invites.read(folder)) == invites.MAX_OPEN + 1


@pytest.mark.parametrize("words", [("invite", "--role", "gateway"), ("link",), ("swarm", "show"), ("invite", "list")])
def test_without_a_swarm_it_says_what_to_do(command: Command, words: tuple[str, ...]) -> None:
    done = command(*words)
    assert done.code == 1
    assert "hyperinfer swarm init" in done.err


def test_invites_are_made_where_auth_is(command: Command, folder: Path) -> None:
    (folder / "root.key").unlink()
    (folder / "epoch.json").unlink()
    done = command("invite", "--role", "gateway")
    assert (done.code, "Auth is not on this machine" in done.err) == (1, True)
    done = command("members", "add", KEY, "--role", "gateway")
    assert (done.code, "where auth lives" in done.err) == (1, True)


# --- join ---------------------------------------------------------------------------------------------------


@pytest.fixture
def code(command: Command, folder: Path) -> str:
    assert folder.exists()
    return command("invite", "--role", "inference").out.strip()


def test_auths_own_machine_does_not_join(command: Command, code: str) -> None:
    done = command("join", code)
    assert (done.code, "auth's own machine" in done.err) == (1, True)


def test_a_machine_of_another_swarm_does_not_join(
    command: Command, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYPERINFER_HOME", str(tmp_path / "other"))
    assert command("swarm", "init").code == 0
    done = command("join", "-", stdin=code + "\n")
    assert (done.code, "another swarm already" in done.err) == (1, True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda code: code[:-1], "no join code"),
        (lambda code: code[:50], "no join code"),
        (lambda code: "hi_12345678_" + "a" * 49, "no join code"),
    ],
)
def test_a_code_with_a_slip_is_noticed_before_anything_is_made(
    command: Command, code: str, change: object, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYPERINFER_HOME", str(tmp_path / "new"))
    assert callable(change)
    done = command("join", change(code))
    assert (done.code, said in done.err) == (1, True)
    assert not (tmp_path / "new").exists()


def test_a_code_for_another_role_is_refused(
    command: Command, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYPERINFER_HOME", str(tmp_path / "new"))
    done = command("join", code, "--role", "gateway")
    assert (done.code, "for the role inference" in done.err) == (1, True)


def test_where_auth_cannot_be_reached_it_says_so(
    command: Command, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYPERINFER_HOME", str(tmp_path / "new"))
    done = command("join", code, "--name", "box", "--wait", "1", "--set", "net.driver=false")
    assert done.code == 1
    assert "Joining as box" in done.err
    assert "could not be reached within" in done.err
    assert not (tmp_path / "new" / "data" / "swarm").exists()


def test_up_makes_no_second_swarm_of_a_machine_that_joined(command: Command, folder: Path, home: Path) -> None:
    for name in ("root.key", "epoch.json"):
        (folder / name).unlink()
    (home / "data" / "auth" / "identity").unlink()
    before = (folder / "members.json").read_bytes()
    done = command("up", "--set", "net.driver=false", "--set", "inference.llamacpp.enabled=false")
    assert done.code == 1
    assert "joined another's swarm" in done.err
    assert (folder / "members.json").read_bytes() == before


# --- links and recovery -------------------------------------------------------------------------------------


def test_links_name_the_swarm_and_its_gateways(command: Command, folder: Path) -> None:
    command("members", "add", KEY, "--role", "gateway")
    whole, gateway = command("link").out.split()
    root = swarm.root_public_key(folder)
    assert root
    assert links.parse(whole) == SwarmLink(swarm.load(folder).key, root)
    assert links.parse(gateway) == GatewayLink(bytes.fromhex(KEY))
    assert json.loads(command("link", "--json").out)["gateways"] == [{"name": "", "link": gateway}]


def test_a_swarm_is_brought_back_from_its_words(
    command: Command, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command("members", "add", KEY, "--role", "gateway", "--name", "door")
    done = command("swarm", "recovery")
    words = done.out.strip()
    assert len(words.split()) == 24
    assert "show them to nobody" in done.err
    made = json.loads(command("swarm", "show", "--json").out)
    monkeypatch.setenv("HYPERINFER_HOME", str(tmp_path / "new"))
    copy = str(folder / "members.json")
    wrong = command("swarm", "recover", "--root-key", KEY, stdin=words + "\n")
    assert (wrong.code, "another root key's" in wrong.err) == (1, True)
    done = command("swarm", "recover", "--members", copy, "--root-key", made["root_key"], "--json", stdin=words + "\n")
    assert done.code == 0, done.err
    new = json.loads(done.out)
    assert new["root_key"] == made["root_key"]
    assert new["auth_key"] != made["auth_key"]
    assert new["epoch"] > made["epoch"]
    found = {one.name: (one.roles, one.revoked is None) for one in file.read(tmp_path / "new/data/swarm").members}
    assert found["door"] == (("gateway",), True)
    active = [one for one in file.read(tmp_path / "new/data/swarm").members if "auth" in one.roles and not one.revoked]
    assert [one.public_key for one in active] == [new["auth_key"]]
    # With the root key here, it asks for no words.
    again = json.loads(command("swarm", "recover", "--json").out)
    assert again["epoch"] > new["epoch"]


def test_words_are_asked_for_and_checked(command: Command, home: Path) -> None:
    done = command("swarm", "recover", stdin="abandon abandon\n")
    assert (done.code, "are 24" in done.err) == (1, True)
    assert not (home / "data" / "swarm").exists()


def test_an_auth_that_is_not_the_swarms_is_told_what_to_do(command: Command, folder: Path, home: Path) -> None:
    (home / "data" / "auth" / "identity").unlink()
    done = command("worker", "--wtype", "auth", "--set", "net.driver=false")
    assert done.code == 1
    assert "hyperinfer swarm recover" in done.err
    before = epochs.current(folder)
    assert command("swarm", "recover").code == 0
    after = epochs.current(folder)
    assert before
    assert after
    assert after.epoch > before.epoch
