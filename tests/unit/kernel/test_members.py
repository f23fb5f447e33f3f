"""The member list: who is in it, what a change does, and what a damaged file does not do."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from hyperinfer.errors import BadRequest, Conflict, IdentityError, NotFound, StartError
from hyperinfer.kernel import members as member_file
from hyperinfer.kernel import swarm
from hyperinfer.kernel.members import Members
from hyperinfer.kernel.membership import file

NOW = datetime(2026, 1, 2, tzinfo=UTC)
KEY, OTHER = b"k" * 32, b"o" * 32


def add(folder: Path, key: bytes, *roles: str) -> None:
    member_file.add(folder, key, roles=roles, name="", now=NOW)


def test_a_missing_or_empty_list_admits_nobody(tmp_path: Path) -> None:
    assert Members.load(tmp_path).keys == frozenset()
    (tmp_path / "members.json").write_text('{"members": []}')
    assert Members.load(tmp_path).keys == frozenset()


def test_a_change_of_the_file_is_followed(tmp_path: Path) -> None:
    members = Members.load(tmp_path)
    told: list[frozenset[bytes]] = []
    members.on_change(lambda: told.append(members.keys))
    add(tmp_path, KEY, "gateway")
    add(tmp_path, OTHER, "inference")
    assert members.refresh()
    assert members.roles(KEY) == {"gateway"}
    assert members.with_role("inference") == {OTHER}
    member_file.revoke(tmp_path, KEY, now=NOW)
    assert members.refresh()
    assert members.roles(KEY) == frozenset()
    assert told == [{KEY, OTHER}, {OTHER}]
    assert not members.refresh()


def test_a_list_that_is_removed_admits_nobody(tmp_path: Path) -> None:
    add(tmp_path, KEY, "gateway")
    members = Members.load(tmp_path)
    (tmp_path / "members.json").unlink()
    assert members.refresh()
    assert members.keys == frozenset()


@pytest.mark.parametrize("content", ["{", '{"members": [{"publicKey": "zz", "roles": []}]}', '{"members": 1}'])
def test_a_list_that_makes_no_sense_stops_a_start_but_not_a_worker(tmp_path: Path, content: str) -> None:
    add(tmp_path, KEY, "gateway")
    members = Members.load(tmp_path)
    (tmp_path / "members.json").write_text(content)
    with pytest.raises(StartError, match="cannot be understood"):
        Members.load(tmp_path)
    assert not members.refresh()
    assert members.keys == {KEY}


def test_a_revoked_member_stays_in_the_list_with_the_date(tmp_path: Path) -> None:
    add(tmp_path, KEY, "gateway")
    assert member_file.revoke(tmp_path, KEY, now=NOW).revoked == NOW
    assert [member.revoked for member in file.read(tmp_path).members] == [NOW]
    with pytest.raises(NotFound):
        member_file.revoke(tmp_path, OTHER, now=NOW)


def test_an_unknown_role_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="No such role: king"):
        add(tmp_path, KEY, "king")


@pytest.mark.parametrize("text", ["", "ab", "z" * 64, "00" * 33])
def test_a_key_is_64_hexadecimal_digits(text: str) -> None:
    with pytest.raises(BadRequest):
        member_file.parse_key(text)


def test_a_swarm_is_made_once(tmp_path: Path) -> None:
    swarm.create(tmp_path)
    keys = swarm.load(tmp_path)
    assert keys.key.hex() not in repr(keys)
    assert keys.topic("auth") != keys.plain_topic("auth")
    with pytest.raises(Conflict):
        swarm.create(tmp_path)
    (tmp_path / "swarm.key").write_bytes(b"short")
    with pytest.raises(IdentityError):
        swarm.load(tmp_path)


def test_a_machine_without_a_swarm_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="hyperinfer swarm init"):
        swarm.load(tmp_path)
