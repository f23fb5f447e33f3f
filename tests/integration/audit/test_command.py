"""`hyperinfer audit` on a real database, while auth has it open: exit codes, and what a script and a person read."""

import asyncio
import csv
import io
import json
import stat
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hyperinfer.cli.root import run
from hyperinfer.contracts.audit import HEAD
from hyperinfer.contracts.membership import Epoch, MemberList
from hyperinfer.facilities.net import Identity
from hyperinfer.kernel import identity, swarm
from hyperinfer.kernel.membership.file import MemberFile
from hyperinfer.kernel.paths import locked as hold
from hyperinfer.kernel.paths import paths_of
from hyperinfer.protocol import membership
from hyperinfer.workers.auth.audit import heads, key
from hyperinfer.workers.auth.audit.taking import take_in
from hyperinfer.workers.auth.config import AuthSettings
from hyperinfer.workers.auth.origin import Origin

from .conftest import Books


@dataclass(frozen=True)
class Done:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Audit = Callable[..., Awaitable[Done]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def data(home: Path) -> Path:
    """Auth's data folder is where its settings say."""
    folder = home / "data" / "auth"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def audit(books: Books, home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Audit:
    """Runs `hyperinfer audit …` on these books."""
    monkeypatch.setenv("HYPERINFER_HOME", str(home))
    monkeypatch.setenv("DATABASE_URL", books.url)

    async def command(*arguments: str) -> Done:
        capfd.readouterr()
        code = await asyncio.to_thread(run, ["audit", *arguments])
        said = capfd.readouterr()
        assert "Traceback" not in said.err
        return Done(code, said.out, said.err)

    return command


# --- verify ------------------------------------------------------------------------------------------------------


async def test_an_intact_log_ends_with_zero(books: Books, audit: Audit) -> None:
    await books.write(3)
    await books.publish()
    done = await audit("verify")
    assert (done.code, done.out) == (0, "The audit log is intact: 3 rows, 1 published head.\n")
    assert (await audit("verify", "--json")).json == {
        "intact": True,
        "rows": 3,
        "last": 3,
        "heads": 1,
        "damaged_heads": 0,
        "unverified": 0,
        "found": 0,
        "problems": [],
    }


async def test_tampering_ends_with_one_and_names_the_rows(books: Books, audit: Audit) -> None:
    await books.write(9)
    await books.publish()
    await books.sql("UPDATE audit_log SET remote = '' WHERE seq = 2", "DELETE FROM audit_log WHERE seq IN (4, 5)")
    await books.sql("DELETE FROM audit_log WHERE seq = 9")
    done = await audit("verify", "--json")
    assert done.code == 1
    assert [(one["kind"], one["first"], one["last"]) for one in done.json["problems"]] == [
        ("altered", 2, 2),
        ("removed", 4, 5),
        ("cut_off", 9, 9),
    ]
    shown = await audit("verify")
    assert shown.code == 1
    assert [line.split()[:2] for line in shown.out.splitlines()[1:4]] == [
        ["2", "altered"],
        ["4-5", "removed"],
        ["9", "cut"],
    ]
    assert shown.out.splitlines()[-1].startswith("The audit log is not intact")


async def test_a_spoiled_file_of_heads_is_no_intact_log(books: Books, audit: Audit) -> None:
    await books.write(1)
    (books.data / heads.FILE).write_text("x\n")
    assert (await audit("verify")).code == 1


async def test_a_head_written_down_finds_what_the_data_folder_no_longer_says(books: Books, audit: Audit) -> None:
    await books.write(5)
    kept = (await audit("head")).out.strip()
    document = await audit("head", "--json")
    assert kept == f"{document.json['seq']}:{document.json['link']}"
    kept_file = books.data.parent / "head.json"
    kept_file.write_text(json.dumps(document.json))
    assert (await audit("verify", "--head", kept, "--head", str(kept_file))).code == 0
    await books.sql("DELETE FROM audit_log", "UPDATE heads SET audit_seq = 0, audit_link = ''")
    assert (await audit("verify")).code == 0
    for head in (kept, str(kept_file)):
        done = await audit("verify", "--json", "--head", head)
        assert done.code == 1
        assert [one["kind"] for one in done.json["problems"]] == ["cut_off"]


async def test_the_member_list_of_any_machine_holds_a_head(books: Books, audit: Audit, home: Path) -> None:
    await books.write(5)
    head = await books.publish()
    folder = home / "data" / "swarm"
    root, auth = swarm.create(folder), identity.from_seed(b"a" * 32)
    other_root = identity.from_seed(b"o" * 32)

    def member_list(by: Identity) -> bytes:
        epoch = membership.sign_epoch(Epoch(epoch=1, auth=auth.public_key.hex()), root_seed=by.seed)
        extra = {HEAD: msgspec.Raw(msgspec.json.encode(head))}
        members = MemberList(epoch=1, version=1, issued_at=books.clock.now(), extra=extra)
        published = membership.publish(members, epoch=epoch, auth_seed=auth.seed, introduced=frozenset())
        return msgspec.json.encode(MemberFile(version=1, published=published))

    copy = home / "copy.json"
    copy.write_bytes(member_list(root))
    assert (await audit("verify", "--head", str(copy), "--json")).json["heads"] == 1
    await books.sql("DELETE FROM audit_log WHERE seq = 5", "UPDATE heads SET audit_seq = 4")
    await books.sql("UPDATE heads SET audit_link = (SELECT link FROM audit_log WHERE seq = 4)")
    (books.data / heads.FILE).unlink()
    assert (await audit("verify")).code == 0
    assert (await audit("verify", "--head", str(copy))).code == 1
    # The list that auth has signed on its own machine is looked at unasked.
    (folder / "members.json").write_bytes(member_list(root))
    assert (await audit("verify")).code == 1
    copy.write_bytes(member_list(other_root))
    done = await audit("verify", "--head", str(copy))
    assert done.code == 1
    assert "no member list of this swarm" in done.err


@pytest.mark.parametrize(
    ("given", "said"),
    [("5:abc", "neither SEQ:LINK nor a file"), ("nowhere.json", "neither"), ("{file}", "holds no head")],
)
async def test_what_is_no_head_is_refused(books: Books, audit: Audit, tmp_path: Path, given: str, said: str) -> None:
    await books.write(1)
    for content in ("", "{}", "[]", "x", '{"seq": 0}', '{"version": 1}'):
        (tmp_path / "file").write_text(content)
        done = await audit("verify", "--head", given.format(file=tmp_path / "file"))
        assert done.code == 1
        assert said in done.err or "no member list" in done.err


async def test_there_must_be_a_log_and_its_key(books: Books, audit: Audit) -> None:
    await books.write(1)
    (books.data / key.FILE).unlink()
    done = await audit("verify")
    assert (done.code, done.out) == (1, "")
    assert "Cannot read the audit key" in done.err
    await books.sql("DROP TABLE audit_log")
    done = await audit("list")
    assert done.code == 1
    assert "hyperinfer db upgrade" in done.err


def test_nothing_is_made_where_there_is_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HYPERINFER_HOME", str(home))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    assert run(["audit", "verify"]) == 1
    assert "There is no audit log here" in capfd.readouterr().err
    assert not home.exists()


# --- restart -----------------------------------------------------------------------------------------------------


async def test_a_new_beginning_takes_a_word_and_a_stopped_auth(books: Books, audit: Audit, home: Path) -> None:
    await books.write(5)
    (books.data / key.FILE).unlink()
    with hold(paths_of("auth", AuthSettings(), home=home)):
        done = await audit("restart", "--yes")
        assert done.code == 1
        assert "Another worker runs" in done.err
    assert (await audit("restart", "--yes")).out == "The log begins anew after row 5.\n"
    done = await audit("verify")
    assert done.code == 0
    assert "Rows up to 5 are not verified" in done.err
    assert "1 row," in done.out


# --- list and export ---------------------------------------------------------------------------------------------


async def test_rows_are_listed_by_filters(books: Books, audit: Audit) -> None:
    ada = await books.person("ada")
    await books.write(2, by=ada)
    await books.database.note(Origin(), "member.revoked", outcome="ok")
    lines = (await audit("list")).out.splitlines()
    assert lines[0].split() == ["ROW", "TIME", "(UTC)", "ACTION", "OUTCOME", "BY", "ON", "FROM"]
    assert lines[1].split() == ["4", "2026-01-01", "00:00:02", "member.revoked", "ok", "this", "machine", "-", "-"]
    assert lines[2].split() == ["3", "2026-01-01", "00:00:02", "key.created", "ok", "ada", "-", "127.0.0.1"]

    async def found(*arguments: str) -> list[int]:
        done = await audit("list", "--json", *arguments)
        assert done.code == 0
        return [row["seq"] for row in done.json]

    for name in ("ada", "ADA", "ada@example.org", ada):
        assert await found("--user", name) == [3, 2, 1]
    assert await found("--action", "key.*", "--limit", "1") == [3]
    assert await found("--since", "2026-01-01T00:00:02Z") == [4, 3]
    assert await found("--until", "2026-01-01") == []
    assert await found("--outcome", "failed") == []
    assert "No row matches" in (await audit("list", "--outcome", "failed")).err
    assert "No account has this name" in (await audit("list", "--user", "nobody")).err
    assert "--since takes" in (await audit("list", "--since", "yesterday")).err
    await books.remove(ada)
    assert (await audit("list", "--action", "account.registered")).out.splitlines()[1].split()[5:7] == [
        "-",
        f"({(await audit('list', '--json', '--action', 'account.registered')).json[0]['target'][:8]})",
    ]


async def test_an_export_is_whole_and_runs_nothing(books: Books, audit: Audit, tmp_path: Path) -> None:
    await books.write(201)
    formula = "=HYPERLINK(1)"
    origin = Origin(remote="@x", request_id=formula)
    await books.database.note(origin, "session.refused", outcome="refused", details={"agent": formula})
    lines = [json.loads(line) for line in (await audit("export")).out.splitlines()]
    assert [row["seq"] for row in lines] == list(range(202, 0, -1))
    assert (lines[0]["request_id"], lines[0]["details"]) == (formula, {"agent": formula})
    target = tmp_path / "audit.csv"
    done = await audit("export", "--format", "csv", "--out", str(target), "--outcome", "refused")
    assert (done.code, done.out, done.err) == (0, "", "1 row written.\n")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    (row,) = csv.DictReader(io.StringIO(target.read_text()))
    assert (row["seq"], row["request_id"], row["remote"]) == ("202", f"'{formula}", "'@x")
    assert json.loads(row["details"]) == {"agent": formula}
    again = await audit("export", "--out", str(target))
    assert again.code == 1
    assert "is there already" in again.err


# --- what other commands note ------------------------------------------------------------------------------------


async def test_commands_on_the_swarm_are_rows_once_auth_has_taken_them_in(
    books: Books, audit: Audit, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    member = "ab" * 32
    for arguments in (
        ("swarm", "init"),
        ("members", "add", member, "--role", "inference", "--name", "gpu"),
        ("members", "rename", "gpu", "gpu-box"),
        ("invite", "--role", "inference"),
        ("members", "revoke", "gpu-box"),
        ("swarm", "recovery"),
        ("db", "backup", str(home)),
    ):
        assert await asyncio.to_thread(run, list(arguments)) == 0
    said = capfd.readouterr().out
    assert await take_in(books.database, books.data) == 7
    rows = [json.loads(line) for line in reversed((await audit("export")).out.splitlines())]
    assert [row["action"] for row in rows] == [
        "swarm.made",
        "member.added",
        "member.renamed",
        "invite.made",
        "member.revoked",
        "swarm.recovery_words_shown",
        "database.backed_up",
    ]
    assert rows[1]["details"] == {"member": member, "roles": "inference"}
    whole = json.dumps(rows)
    secrets = [word for line in said.splitlines() for word in line.split() if len(word) > 80]  # the code to join
    words = max(said.splitlines(), key=lambda line: line.count(" "))
    assert secrets
    assert not any(secret in whole for secret in (*secrets, words))
    assert (await audit("verify")).code == 0
