"""Machines that joined: a change reaches them at once, the list stays while auth is away, and nothing goes back."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog

from hyperinfer.contracts.common import METRICS
from hyperinfer.contracts.membership import Epoch, Member, MemberList, Published
from hyperinfer.contracts.method import Nothing
from hyperinfer.errors import Conflict, HyperinferError, StartError, Untrusted
from hyperinfer.kernel import members as member_file
from hyperinfer.kernel import swarm
from hyperinfer.kernel.identity import load_or_create
from hyperinfer.kernel.membership import epochs, file, recovery
from hyperinfer.protocol import membership
from hyperinfer.testing.eventually import eventually

from .conftest import CLOCK, Machine, Machines, changed

PUSHED_S = 2.0
CUT_S = 3.0


async def test_a_change_reaches_every_machine_within_two_seconds(any_machine: Machines) -> None:
    a, b, c = await any_machine("a"), await any_machine("b"), await any_machine("c")
    async with AsyncExitStack() as running:
        await running.enter_async_context(a.runs("auth"))
        await b.join(a.invite("inference"))
        await c.join(a.invite("gateway"))
        await running.enter_async_context(b.runs("inference"))
        await running.enter_async_context(c.runs("gateway"))
        one, other = b.members("inference"), c.members("gateway")
        # The second to join is told to the first, which had its list before that.
        await changed(one, lambda: bool(one.roles(c.key("gateway"))), timeout_s=10)
        link = await c.contexts["gateway"].peers.link(b.key("inference"))
        back = await b.contexts["inference"].peers.link(a.key("auth"))
        began = time.monotonic()
        member_file.rename(a.folder, b.key("inference"), "renamed", now=CLOCK.now())
        await changed(other, lambda: other.name(b.key("inference")) == "renamed", timeout_s=PUSHED_S)
        assert time.monotonic() - began < PUSHED_S
        # A revoked member is cut off by auth and by the other machine, whoever made the connection.
        a.revoke(b.key("inference"))
        async with asyncio.timeout(CUT_S):
            await link.wait_closed()
            await back.wait_closed()
        for asked in (a.key("auth"), c.key("gateway")):
            with pytest.raises(HyperinferError):
                await b.contexts["inference"].peer(asked).call(METRICS, Nothing(), timeout_s=5)


async def test_members_hold_while_auth_is_away_and_hear_of_it_when_it_is_back(any_machine: Machines) -> None:
    a, b, c = await any_machine("a"), await any_machine("b"), await any_machine("c")
    async with AsyncExitStack() as running:
        async with a.runs("auth"):
            await b.join(a.invite("inference"))
            await c.join(a.invite("gateway"))
            await running.enter_async_context(b.runs("inference"))
            await running.enter_async_context(c.runs("gateway"))
            one = b.members("inference")
            await changed(one, lambda: bool(one.roles(c.key("gateway"))), timeout_s=10)
        # Auth is gone: the others go on among themselves, also after a restart.
        gateway = c.contexts["gateway"].peer(b.key("inference"))
        await gateway.call(METRICS, Nothing(), timeout_s=10)
        assert {member.key for member in file.read(b.folder).members} == {
            *(a.key("auth"), b.key("inference"), c.key("gateway"))
        }
        member_file.rename(a.folder, b.key("inference"), "meanwhile", now=CLOCK.now())
        async with a.runs("auth"):
            await changed(one, lambda: one.name(b.key("inference")) == "meanwhile", timeout_s=20)


def is_called(key: bytes, name: str, members: member_file.Members) -> bool:
    return members.name(key) == name


async def test_workers_of_one_machine_write_one_list(machine: Machines) -> None:
    a, b = await machine("a"), await machine("b")
    async with AsyncExitStack() as running:
        await running.enter_async_context(a.runs("auth"))
        for role in ("inference", "gateway"):
            await b.join(a.invite(role))
            await running.enter_async_context(b.runs(role))
        for at in range(20):
            member_file.rename(a.folder, b.key("gateway"), f"name-{at}", now=CLOCK.now())
            a.members("auth").refresh()
            await a.office._issue()
        last = partial(is_called, b.key("gateway"), "name-19")
        for role in ("inference", "gateway"):
            await changed(b.members(role), partial(last, b.members(role)), timeout_s=5)
    written = file.read(b.folder)
    assert written.signed
    assert written.version == written.signed.version


async def test_what_goes_along_reaches_every_machine(machine: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    said: dict[str, Any] = {"auditHead": {"seq": 1}}

    async def extra() -> Mapping[str, Any]:
        return dict(said)

    monkeypatch.setattr("hyperinfer.workers.auth.membership.EXTRA_EVERY_S", 0.0)
    a, b = await machine("a", extra=extra), await machine("b")
    async with a.runs("auth"):
        await b.join(a.invite())
        async with b.runs("inference"):
            members = b.members("inference")
            assert members.extra == {"auditHead": msgspec.Raw(b'{"seq":1}')}
            said["auditHead"] = {"seq": 2}
            await changed(members, lambda: members.extra == {"auditHead": msgspec.Raw(b'{"seq":2}')}, timeout_s=3)
            assert members.roles(a.key("auth")) == {"auth"}
            # A change made meanwhile by a command keeps what goes along.
            identity = load_or_create(a.home / "data" / "auth" / "identity")
            member_file.rename(a.folder, b.key("inference"), "x", now=CLOCK.now(), auth=identity)
            await changed(members, lambda: members.name(b.key("inference")) == "x", timeout_s=3)
            assert members.extra == {"auditHead": msgspec.Raw(b'{"seq":2}')}


# --- lists that are not taken ------------------------------------------------------------------------------


@pytest.fixture
async def joined(machine: Machines) -> tuple[Machine, Machine]:
    """Auth's machine and one that joined; nothing runs any more."""
    a, b = await machine("a"), await machine("b")
    async with a.runs("auth"):
        await b.join(a.invite())
    return a, b


def held(one: Machine) -> Published:
    published = file.read(one.folder).published
    assert published is not None
    return published


async def test_an_older_list_is_never_taken(joined: tuple[Machine, Machine]) -> None:
    a, b = joined
    identity = load_or_create(a.home / "data" / "auth" / "identity")
    before = held(b)
    member_file.revoke(a.folder, b.key("inference"), now=CLOCK.now(), auth=identity)
    assert file.take(b.folder, held(a))
    assert not file.take(b.folder, before)
    assert not file.take(b.folder, held(a))
    assert [one.revoked is None for one in file.read(b.folder).members if one.key == b.key("inference")] == [False]


async def test_a_list_of_another_root_is_never_taken(joined: tuple[Machine, Machine], machine: Machines) -> None:
    _, b = joined
    other = await machine("other")
    async with other.runs("auth"):
        pass
    for taken in (held(other), msgspec.structs.replace(held(other), epoch=held(b).epoch)):
        with pytest.raises(Untrusted):
            file.take(b.folder, taken)


async def test_a_member_cannot_make_a_list(joined: tuple[Machine, Machine]) -> None:
    _, b = joined
    own = load_or_create(b.home / "data" / "inference" / "identity")
    mine = Member(public_key=own.public_key.hex(), roles=("auth", "gateway"))
    newer = MemberList(epoch=1, version=2**50, issued_at=CLOCK.now(), members=(mine,))
    forged = membership.publish(newer, epoch=held(b).epoch, auth_seed=own.seed, introduced=file.INTRODUCED)
    with pytest.raises(Untrusted):
        file.take(b.folder, forged)
    # Nor an epoch.
    own_epoch = membership.sign_epoch(Epoch(epoch=9, auth=own.public_key.hex()), root_seed=own.seed)
    with pytest.raises(Untrusted):
        file.take(b.folder, msgspec.structs.replace(forged, epoch=own_epoch))


async def test_a_list_altered_on_a_machine_that_joined_is_not_believed(joined: tuple[Machine, Machine]) -> None:
    _, b = joined
    before = file.read(b.folder)
    altered = msgspec.structs.replace(before, published=None)
    (b.folder / file.FILE).write_bytes(msgspec.json.encode(altered))
    with pytest.raises(StartError, match="not signed"):
        file.read(b.folder)
    # What people read in it is not what counts.
    mine = Member(public_key="ab" * 32, roles=("gateway",))
    (b.folder / file.FILE).write_bytes(msgspec.json.encode(msgspec.structs.replace(before, members=(mine,))))
    assert file.read(b.folder).members == before.members
    with pytest.raises(Conflict, match="takes its member list from auth"):
        member_file.add(b.folder, b"k" * 32, roles=["gateway"], name="", now=CLOCK.now())


async def test_a_list_put_on_auths_machine_from_elsewhere_is_signed_as_it_stands(
    joined: tuple[Machine, Machine], machine: Machines
) -> None:
    a, _ = joined
    other = await machine("other")
    async with other.runs("auth"):
        pass
    async with a.runs("auth"):
        (a.folder / file.FILE).write_bytes((other.folder / file.FILE).read_bytes())

        async def own() -> bool:
            try:
                return file.prove(a.folder, file.read(a.folder).published) is not None
            except (Untrusted, StartError):
                return False

        await eventually(own, timeout_s=5)
    assert {one.key for one in file.read(a.folder).members} == {other.key("auth")}


async def test_a_backup_put_back_is_newer_than_what_went_before(joined: tuple[Machine, Machine]) -> None:
    a, b = joined
    backup = (a.folder / file.FILE).read_bytes()
    identity = load_or_create(a.home / "data" / "auth" / "identity")
    member_file.rename(a.folder, b.key("inference"), "later", now=CLOCK.now(), auth=identity)
    file.take(b.folder, held(a))
    (a.folder / file.FILE).write_bytes(backup)
    later = CLOCK.now() + timedelta(seconds=10)
    file.issue(a.folder, auth=identity, now=later, extra={})
    assert file.take(b.folder, held(a))


# --- another auth in place of one that is gone -------------------------------------------------------------


async def test_another_auth_takes_over_and_the_members_follow_it(any_machine: Machines) -> None:
    a, b, new = await any_machine("a"), await any_machine("b"), await any_machine("new")
    async with AsyncExitStack() as running:
        async with a.runs("auth"):
            await b.join(a.invite("inference"))
            await running.enter_async_context(b.runs("inference"))
            words = recovery.words(a.folder)
        recovery.recover(new.folder, recovery.root_of(words), expected=swarm.root_public_key(a.folder))
        # All that is left of the swarm is on paper, and the member list on every other machine.
        successor = load_or_create(new.home / "data" / "auth" / "identity")
        copy = (b.folder / file.FILE).read_bytes()
        recovery.take_over(new.folder, successor, now=CLOCK.now(), copy=copy)
        assert swarm.load(new.folder).key == swarm.load(a.folder).key
        members = b.members("inference")
        async with new.runs("auth"):
            await changed(members, lambda: members.roles(new.key("auth")) == {"auth"}, timeout_s=30)
            assert members.roles(a.key("auth")) == frozenset()
            # From here on the new one is watched like the old one was.
            member_file.rename(new.folder, b.key("inference"), "box", now=CLOCK.now())
            await changed(members, lambda: members.name(b.key("inference")) == "box", timeout_s=15)
            # The old auth comes back and does not know: nobody follows it any more.
            stale = membership.verify(held(a), root=swarm.root_public_key(a.folder) or b"")
            assert not file.take(b.folder, held(a))
            assert stale.order < file.newest(b.folder)


async def test_who_announces_auth_and_cannot_prove_it_is_not_followed(machine: Machines) -> None:
    """An impostor knows the swarm key, and answers `watchMembers` with a list of its own, newer than auth's."""
    a, b, evil = await machine("a"), await machine("b"), await machine("evil")
    async with a.runs("auth"):
        await b.join(a.invite())
    swarm.create(evil.folder)
    (evil.folder / "swarm.key").write_bytes((b.folder / "swarm.key").read_bytes())
    later = CLOCK.now() + timedelta(hours=1)
    member_file.add(evil.folder, b.key("inference"), roles=["inference"], name="", now=later)
    before = file.read(b.folder)
    with structlog.testing.capture_logs() as lines:
        async with evil.runs("auth"), b.runs("inference"):

            async def refused_twice() -> bool:
                refused = [line["auth"] for line in lines if line["event"] == "member_list_refused"]
                return refused[:2] == [evil.key("auth").hex()] * 2

            await eventually(refused_twice, timeout_s=30)
    assert file.read(evil.folder).version > before.version
    assert file.read(b.folder) == before


def test_recovery_words_are_the_root_key(tmp_path: Path) -> None:
    root = swarm.create(tmp_path)
    words = recovery.words(tmp_path)
    assert len(words.split()) == 24
    assert recovery.root_of(f"  {words.upper()} \n") == root


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "are 24; these are 0"),
        ("abandon " * 23, "these are 23"),
        ("abandon " * 23 + "hyperinfer", "'hyperinfer' is none of the words"),
        ("abandon " * 24, "do not belong together"),
    ],
)
def test_words_that_are_wrong_are_told_apart(words: str, said: str) -> None:
    with pytest.raises(HyperinferError, match=said):
        recovery.root_of(words)


def test_words_of_another_swarm_are_refused(tmp_path: Path) -> None:
    swarm.create(tmp_path / "one")
    other = swarm.create(tmp_path / "other")
    with pytest.raises(Conflict, match="another root key's"):
        recovery.recover(tmp_path / "one", other)
    with pytest.raises(Conflict, match="another root key's"):
        recovery.recover(tmp_path / "new", other, expected=b"x" * 32)
    assert not swarm.exists(tmp_path / "new")


def test_the_root_key_may_be_taken_off_auths_machine(tmp_path: Path) -> None:
    root = swarm.create(tmp_path)
    auth = load_or_create(tmp_path / "identity")
    epochs.name_auth(tmp_path, auth.public_key)
    words = recovery.words(tmp_path)
    (tmp_path / "root.key").unlink()
    assert not swarm.follows(tmp_path)
    member_file.add(tmp_path, auth.public_key, roles=["auth"], name="auth", now=CLOCK.now(), auth=auth)
    assert file.prove(tmp_path, file.read(tmp_path).published).epoch.epoch == 1
    with pytest.raises(StartError, match="swarm recover"):
        epochs.succeed(tmp_path, auth.public_key, last=1, now=CLOCK.now())
    recovery.recover(tmp_path, recovery.root_of(words))
    assert swarm.root(tmp_path) == root
