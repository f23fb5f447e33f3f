"""The copy of the directory: what pages make of it, and what is left of it on the disk."""

import asyncio
import sqlite3
from pathlib import Path

import msgspec
import pytest

from hyperinfer.contracts import directory
from hyperinfer.contracts.directory import AliasRecord, Change, Changes, KeyRecord, Since, TierRecord, UserRecord
from hyperinfer.contracts.limits import Limits
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.facilities.net.memory import MemoryNet
from hyperinfer.protocol import api_keys
from hyperinfer.testing.asking import AskingGateway
from hyperinfer.testing.auth import FakeAuth
from hyperinfer.testing.eventually import eventually
from hyperinfer.testing.swarm import part, swarm
from hyperinfer.workers.gateway.directory import DirectoryCopy, Follower, following
from hyperinfer.workers.gateway.directory.disk import FILE, DirectoryFile

DIGEST = "ab" * 32


def change(seq: int, kind: str, id_: str, record: msgspec.Struct | None) -> Change:
    return Change(seq=seq, kind=kind, id=id_, record=msgspec.Raw(msgspec.json.encode(record)))


def user(seq: int, id_: str = "u") -> Change:
    return change(seq, directory.USER, id_, UserRecord(username=id_, email=f"{id_}@example.com"))


def key(seq: int, id_: str = "k", digest: str = DIGEST) -> Change:
    return change(seq, directory.KEY, id_, KeyRecord(user_id="u", digest=digest))


def page(*changes: Change, is_whole: bool = False, seq: int = 9, more: bool = False) -> Changes:
    return Changes(directory="d", seq=seq, changes=changes, is_whole=is_whole, more=more)


def knows(copy: DirectoryCopy, digest: str = DIGEST) -> bool:
    return copy.by_key(bytes.fromhex(digest), now=0.0) is not None


def test_a_key_with_another_digest_is_no_longer_found_under_the_first() -> None:
    copy = DirectoryCopy()
    copy.apply(page(user(1), key(2), is_whole=True))
    copy.apply(page(key(3, digest="cd" * 32)))
    assert not knows(copy)
    assert knows(copy, "cd" * 32)


def test_who_is_of_a_tier_that_is_not_known_is_limited_by_the_default_one() -> None:
    copy = DirectoryCopy()
    tiers = [change(3, directory.TIER, "default", TierRecord(limits=Limits(requests_per_hour=7)))]
    tiers += [change(4, directory.TIER, "unlimited", TierRecord(limits=Limits()))]
    for tier, limit in (("gone", 7), ("unlimited", None)):
        person = change(1, directory.USER, "u", UserRecord(username="u", email="", tier=tier))
        copy.apply(page(person, key(2), *tiers, is_whole=True))
        who = copy.by_key(bytes.fromhex(DIGEST), now=0.0)
        assert who is not None
        assert who.subjects[0].limits.requests_per_hour == limit


def test_aliases_are_known_until_they_are_gone() -> None:
    copy = DirectoryCopy()
    copy.apply(page(change(1, directory.ALIAS, "a", AliasRecord(models=("m", "n"))), is_whole=True))
    assert copy.aliases["a"].models == ("m", "n")
    copy.apply(page(change(2, directory.ALIAS, "a", None)))
    assert not copy.aliases


def test_a_whole_page_forgets_what_was_before() -> None:
    copy = DirectoryCopy()
    copy.apply(page(user(1), key(2), is_whole=True))
    copy.apply(page(user(1), is_whole=True))
    assert not knows(copy)


def test_a_key_comes_before_its_person_and_waits_for_them() -> None:
    copy = DirectoryCopy()
    copy.apply(page(key(1), is_whole=True))
    assert not knows(copy)
    copy.apply(page(user(2)))
    assert knows(copy)


@pytest.mark.parametrize("record", [b"[]", b'{"userId": 3}', b'{"userId":"u","digest":"no hex"}'])
def test_a_record_that_makes_no_sense_is_left_out_alone(record: bytes) -> None:
    copy = DirectoryCopy()
    bad = Change(seq=1, kind=directory.KEY, id="bad", record=msgspec.Raw(record))
    copy.apply(page(bad, Change(seq=2, kind="of tomorrow", id="x", record=msgspec.Raw(b"1")), user(3), key(4)))
    assert knows(copy)


def test_the_file_gives_back_what_was_saved(tmp_path: Path) -> None:
    file = DirectoryFile(tmp_path / FILE)
    assert file.load() == (None, 0.0)
    file.save(page(user(1), key(2), is_whole=True, seq=2), heard_at=5.0)
    file.save(page(change(3, directory.KEY, "k", None), key(4, "k2"), seq=4), heard_at=6.0)
    file.close()
    again = DirectoryFile(tmp_path / FILE)
    loaded, heard_at = again.load()
    again.close()
    assert loaded is not None
    assert (loaded.directory, loaded.seq, heard_at) == ("d", 4, 6.0)
    assert sorted(one.id for one in loaded.changes) == ["k2", "u"]
    assert (tmp_path / FILE).stat().st_mode & 0o077 == 0


def test_a_gap_is_remembered_so_that_all_is_fetched_anew(tmp_path: Path) -> None:
    file = DirectoryFile(tmp_path / FILE)
    file.save(page(user(1), is_whole=True, seq=1), heard_at=1.0)
    file._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(sqlite3.Error):
        file.save(page(key(2), seq=2), heard_at=2.0)
    file._connection.execute("PRAGMA query_only = OFF")
    file.save(page(user(3, "v"), seq=3), heard_at=3.0)
    loaded, _ = file.load()
    assert loaded is not None
    assert Since(directory=loaded.directory, seq=loaded.seq) == Since()
    assert {one.id for one in loaded.changes} == {"u", "v"}
    file.save(page(user(1), key(2), is_whole=True, seq=4), heard_at=4.0)
    whole, _ = file.load()
    file.close()
    assert whole is not None
    assert (whole.directory, whole.seq) == ("d", 4)


def test_a_damaged_file_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no database" * 1000)
    file = DirectoryFile(tmp_path / FILE)
    assert file.load() == (None, 0.0)
    file.close()
    assert (tmp_path / f"{FILE}.damaged").exists()


async def test_a_gateway_follows_auth_and_starts_from_the_disk_without_it(tmp_path: Path) -> None:
    auth, asking = FakeAuth(), AskingGateway()
    first = auth.person("ada")
    home, folder = tmp_path / "home", tmp_path / "gateway"
    folder.mkdir()
    parts = [part(auth.worker(), home=home), part(asking.worker(), home=home)]
    net = MemoryNet()
    async with swarm(parts, home=home, net=net):
        copy = DirectoryCopy()
        follower = Follower(asking.service("auth"), copy, clock=SystemClock())
        async with following(follower, folder):
            await eventually(lambda: _true(follower.connected and knows(copy, api_keys.digest(first))))
            second = auth.person("bob")
            await eventually(lambda: _true(knows(copy, api_keys.digest(second))))
            await eventually(lambda: _true(_saved(folder) == auth.directory.seq))
    copy = DirectoryCopy()
    lonely = Follower(asking.service("auth"), copy, clock=SystemClock())
    await lonely.open(folder)
    assert knows(copy, api_keys.digest(first))
    assert knows(copy, api_keys.digest(second))
    assert copy.read.seq == auth.directory.seq
    assert lonely.heard_s_ago < 60
    await lonely.close()


async def _true(value: bool) -> bool:
    await asyncio.sleep(0)
    return value


def _saved(folder: Path) -> int:
    with sqlite3.connect(folder / FILE) as connection:
        row = connection.execute("SELECT seq FROM head").fetchone()
    connection.close()
    return int(row[0]) if row else -1
