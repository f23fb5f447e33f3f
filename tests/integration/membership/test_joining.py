"""Invites and joining: who gets in by a code, how often, and what a code does not allow."""

import asyncio
import sys
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hyperinfer.contracts import common, membership
from hyperinfer.contracts.membership import INTRODUCE, JOIN, WATCH_MEMBERS, Join, Newest
from hyperinfer.contracts.method import Method, Nothing
from hyperinfer.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    HyperinferError,
    PeerUnreachable,
    StartError,
    Unavailable,
    Untrusted,
)
from hyperinfer.facilities.net import Admission
from hyperinfer.facilities.net.streams import Streams
from hyperinfer.kernel import swarm
from hyperinfer.kernel.calls import Call, route
from hyperinfer.kernel.dispatch import Dispatcher
from hyperinfer.kernel.identity import from_seed
from hyperinfer.kernel.members import Members
from hyperinfer.kernel.membership import file, invites
from hyperinfer.protocol.membership import sign_joining
from hyperinfer.testing.eventually import eventually
from hyperinfer.workers.auth.membership import MAX_REFUSED

from .conftest import CLOCK, Machines


async def test_a_machine_joins_and_its_worker_is_a_member(any_machine: Machines) -> None:
    a, b = await any_machine("a"), await any_machine("b")
    async with a.runs("auth"):
        await b.join(a.invite(name="gpu box"))
        assert swarm.follows(b.folder)
        assert swarm.load(b.folder).key == swarm.load(a.folder).key
        assert {path.name for path in b.folder.iterdir()} == {
            *("swarm.key", "root.pub", "members.json", ".members.lock")
        }
        async with b.runs("inference"):
            assert b.members("inference").name(b.key("inference")) == "gpu box"
            assert b.members("inference").roles(a.key("auth")) == {"auth"}
            assert a.members("auth").roles(b.key("inference")) == {"inference"}
            # Members, both ways.
            await b.contexts["inference"].peer(a.key("auth")).call(common.PING, Nothing(), timeout_s=5)
            await a.contexts["auth"].peer(b.key("inference")).call(common.METRICS, Nothing(), timeout_s=5)


async def test_of_two_that_race_with_one_code_one_gets_in(any_machine: Machines) -> None:
    a, b, c = await any_machine("a"), await any_machine("b"), await any_machine("c")
    # (In memory the second cannot even open the key pair of the code, which is one way to lose.)
    async with a.runs("auth"):
        code = a.invite()
        results = await asyncio.gather(b.ask(code, wait_s=12), c.ask(code, wait_s=12), return_exceptions=True)
    refused = [result for result in results if isinstance(result, BaseException)]
    assert len(refused) == 1
    assert isinstance(refused[0], Forbidden | Unavailable | Conflict)
    keys = {member.key for member in file.read(a.folder).members}
    assert len(keys & {b.key("inference"), c.key("inference")}) == 1


async def test_calls_that_race_on_one_connection_admit_one_worker(machine: Machines) -> None:
    a = await machine("a")
    async with a.runs("auth"):
        code = a.invite()
        async with a.invited(code) as invited:
            calls = (invited.call(code.auth_key, JOIN, asking(code, bytes([n]) * 32), timeout_s=10) for n in range(20))
            results = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(not isinstance(result, BaseException) for result in results) == 1
    assert {str(result) for result in results if isinstance(result, BaseException)} == {
        "This invite is spent; ask for another."
    }
    assert len(file.read(a.folder).members) == 2


def asking(code: Any, worker: bytes, **more: Any) -> Join:
    """A request to join; `worker` is the seed of the worker's key pair."""
    bound = {"invite": from_seed(code.seed).public_key, "root": code.root_key, "role": code.role, **more}
    return Join(public_key=from_seed(worker).public_key.hex(), signature=sign_joining(worker, **bound))


@pytest.mark.parametrize(
    "forged",
    [
        {"role": "gateway"},
        {"root": b"x" * 32},
        {"invite": b"x" * 32},
    ],
    ids=["another role", "another swarm", "another invite"],
)
async def test_a_signature_for_something_else_admits_nobody(machine: Machines, forged: dict[str, Any]) -> None:
    a = await machine("a")
    async with a.runs("auth"):
        code = a.invite()
        async with a.invited(code) as invited:
            with pytest.raises(Forbidden, match="not signed by the worker"):
                await invited.call(code.auth_key, JOIN, asking(code, b"w" * 32, **forged), timeout_s=5)
            other = msgspec.structs.replace(asking(code, b"w" * 32), public_key=from_seed(b"v" * 32).public_key.hex())
            with pytest.raises(Forbidden, match="not signed by the worker"):
                await invited.call(code.auth_key, JOIN, other, timeout_s=5)
            # The seed has been on paper or in a chat: no member may live on it.
            with pytest.raises(Forbidden, match="not signed by the worker"):
                await invited.call(code.auth_key, JOIN, asking(code, code.seed), timeout_s=5)
            # None of this has spent it.
            await invited.call(code.auth_key, JOIN, asking(code, b"w" * 32), timeout_s=5)


async def test_a_spent_code_is_refused_and_its_connection_cut(any_machine: Machines) -> None:
    a, thief = await any_machine("a"), await any_machine("thief")
    async with a.runs("auth"):
        code = a.invite()
        async with thief.invited(code) as invited:
            await invited.call(code.auth_key, JOIN, asking(code, b"w" * 32), timeout_s=5)
            link = await invited.link(code.auth_key)
            async with asyncio.timeout(invites.PARTING_S + 2):
                await link.wait_closed()

            async def refused() -> bool:
                try:
                    await invited.call(code.auth_key, JOIN, asking(code, b"t" * 32), timeout_s=5)
                except PeerUnreachable:
                    return True
                except HyperinferError:
                    return False
                raise AssertionError("admitted")

            await eventually(refused, timeout_s=15)
    assert [one.state(CLOCK.now()) for one in invites.read(a.folder)] == ["spent"]


async def test_an_expired_or_revoked_code_is_refused_in_the_handshake(any_machine: Machines) -> None:
    a, b = await any_machine("a"), await any_machine("b")
    async with a.runs("auth"):
        short = a.invite(lasts=timedelta(seconds=1))
        revoked = a.invite()
        invites.revoke(a.folder, from_seed(revoked.seed).public_key.hex()[:12], now=CLOCK.now())
        invited = a.office.invited

        async def over() -> bool:
            return not invited.keys

        await eventually(over)
        for code in (short, revoked):
            async with b.peers(code.seed) as peers:
                with pytest.raises(PeerUnreachable):
                    await peers.call(code.auth_key, JOIN, asking(code, b"w" * 32), timeout_s=8)
        with pytest.raises(BadRequest, match="expired at"):
            await b.ask(short)
        with pytest.raises(Unavailable, match="could not be reached within"):
            await b.ask(revoked, wait_s=1)
    assert len(file.read(a.folder).members) == 1


async def test_an_invite_allows_to_join_and_nothing_else(machine: Machines) -> None:
    a = await machine("a")
    async with a.runs("auth"):
        code = a.invite()
        async with a.invited(code) as invited:
            methods: tuple[Method[Nothing, Any], ...] = (common.PING, common.HEALTH, common.METRICS, INTRODUCE)
            for method in methods:
                with pytest.raises(Forbidden, match="An invite allows to join"):
                    await invited.call(code.auth_key, method, Nothing(), timeout_s=5)
            with pytest.raises(Forbidden, match="An invite allows to join"):
                await invited.call(code.auth_key, WATCH_MEMBERS, Newest(), timeout_s=5)


async def test_a_member_or_stranger_cannot_join_without_an_invite(machine: Machines) -> None:
    a, b = await machine("a"), await machine("b")
    async with a.runs("auth"):
        code = a.invite()
        await b.join(code)
        async with b.runs("inference"):
            auth = b.contexts["inference"].peer(code.auth_key)
            with pytest.raises(Forbidden, match="with an open invite only"):
                await auth.call(JOIN, asking(code, b"w" * 32))
        async with b.peers(b"s" * 32) as stranger:
            with pytest.raises(PeerUnreachable):
                await stranger.call(code.auth_key, JOIN, asking(code, b"w" * 32), timeout_s=5)


async def test_an_answer_that_was_lost_is_asked_for_as_a_member(machine: Machines) -> None:
    a, b = await machine("a"), await machine("b")
    async with a.runs("auth"):
        code = a.invite()
        worker = (b.folder.parent / "inference").joinpath("identity")
        key = b.key("inference")
        async with b.invited(code) as invited:
            await invited.call(code.auth_key, JOIN, asking(code, worker.read_bytes()), timeout_s=5)
        # The machine never heard of it, and tries again with the same code.
        await b.join(code)
        assert [one.key for one in file.read(b.folder).members if one.invite] == [key]


async def test_a_crash_between_admitting_and_noting_leaves_no_second_chance(machine: Machines) -> None:
    a = await machine("a")
    async with a.runs("auth"):
        code = a.invite()
        before = (a.folder / invites.FILE).read_bytes()
        async with a.invited(code) as invited:
            await invited.call(code.auth_key, JOIN, asking(code, b"w" * 32), timeout_s=5)
            (a.folder / invites.FILE).write_bytes(before)  # as if it had been killed just before that
            a.office.invited.refresh()
            with pytest.raises(Forbidden, match="invite is spent"):
                await invited.call(code.auth_key, JOIN, asking(code, b"v" * 32), timeout_s=5)


async def test_an_auth_that_is_not_the_swarms_is_not_believed(machine: Machines, tmp_path: Path) -> None:
    """Somebody has put a key of their own in the place of auth's, and answers with a swarm of their own."""
    a, evil, b = await machine("a"), await machine("evil"), await machine("b")
    async with a.runs("auth"), evil.runs("auth"):
        answer = file.read(evil.folder).published
        assert answer is not None
        code = replace(a.invite(), auth_key=from_seed(b"e" * 32).public_key)
        asked: list[Join] = []

        async def admit(request: Join, call: Call) -> membership.Published:
            asked.append(request)
            return answer

        seed = from_seed(code.seed).public_key
        endpoint = await evil.net.open(from_seed(b"e" * 32))
        dispatcher = Dispatcher(
            members=Members.load(tmp_path), clock=CLOCK, running=Streams(stall_timeout_s=1), own_key=code.auth_key
        )
        dispatcher.serve([route(JOIN, admit)], None, invited=lambda: frozenset({seed}))
        await endpoint.listen(dispatcher, methods=dispatcher.methods, admission=Admission(everyone=True))
        with pytest.raises(Untrusted):
            await b.join(code)
    assert not swarm.exists(b.folder)
    assert code.seed not in msgspec.json.encode(asked)
    assert code.seed.hex().encode() not in msgspec.json.encode(asked)


async def test_a_machine_of_another_swarm_is_left_alone(machine: Machines) -> None:
    a, other = await machine("a"), await machine("other")
    async with a.runs("auth"):
        code = a.invite()
        swarm.create(other.folder)
        with pytest.raises(Conflict, match="another swarm"):
            await other.ask(code)
        with pytest.raises(Conflict, match="auth's own machine"):
            await a.ask(code)


async def test_a_further_worker_joins_by_a_code_of_its_own(machine: Machines) -> None:
    a, b = await machine("a"), await machine("b")
    async with a.runs("auth"):
        await b.join(a.invite("inference"), name="box")
        await b.join(a.invite("gateway"), name="box")
        names = {one.key: one.name for one in file.read(a.folder).members}
        assert names[b.key("inference")] == "box"
        assert names[b.key("gateway")] == "box-2"  # two of one name could not be told apart
    with pytest.raises(StartError, match="root key is not on this machine"):
        async with b.runs("auth"):
            pass


async def test_joins_are_noted(machine: Machines) -> None:
    noted: list[tuple[str, str]] = []

    async def note(action: str, outcome: str, details: Any) -> None:
        noted.append((action, outcome))

    a = await machine("a", note=note)
    async with a.runs("auth"):
        code = a.invite()
        async with a.invited(code) as invited:
            with pytest.raises(Forbidden):
                await invited.call(code.auth_key, JOIN, asking(code, b"w" * 32, role="gateway"), timeout_s=5)
            await invited.call(code.auth_key, JOIN, asking(code, b"w" * 32), timeout_s=5)
    assert noted == [("member.joined", "refused"), ("member.joined", "ok")]


async def test_attempts_with_one_invite_are_counted(machine: Machines) -> None:
    noted: list[str] = []

    async def note(action: str, outcome: str, details: Any) -> None:
        noted.append(outcome)

    a = await machine("a", note=note)
    async with a.runs("auth"):
        code, other = a.invite(), a.invite()
        async with a.invited(code) as invited:
            forged = asking(code, b"w" * 32, role="gateway")
            for _ in range(MAX_REFUSED + 5):
                with pytest.raises(Forbidden):
                    await invited.call(code.auth_key, JOIN, forged, timeout_s=5)
            with pytest.raises(Forbidden, match="Too many attempts"):
                await invited.call(code.auth_key, JOIN, asking(code, b"w" * 32), timeout_s=5)
        async with a.invited(other) as invited:
            await invited.call(other.auth_key, JOIN, asking(other, b"w" * 32), timeout_s=5)
    assert noted == ["refused"] * MAX_REFUSED + ["ok"]


async def test_asking_again_and_again_keeps_no_connection_open(machine: Machines) -> None:
    a = await machine("a")
    async with a.runs("auth"):
        code = a.invite()
        async with a.invited(code) as invited:
            await invited.call(code.auth_key, JOIN, asking(code, b"w" * 32), timeout_s=5)
            link = await invited.link(code.auth_key)
            async with asyncio.timeout(invites.PARTING_S + 2):
                while not link.closed:
                    with suppress(HyperinferError):
                        await invited.call(code.auth_key, JOIN, asking(code, b"v" * 32), timeout_s=5)
                    await asyncio.sleep(0.05)


CHANGES = """
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from hyperinfer.kernel import members
from hyperinfer.kernel.membership import invites
folder = Path(sys.argv[1])
print("begun", flush=True)
while True:
    now = datetime.now(UTC)
    invite, seed = invites.create(folder, role="gateway", name="", lasts=timedelta(hours=1), now=now)
    members.add(folder, seed.public_key, roles=["gateway"], name="x", now=now)
    invites.revoke(folder, invite.id, now=now)
    members.revoke(folder, seed.public_key, now=now)
"""


async def test_a_process_killed_in_the_middle_leaves_whole_files_and_no_lock(tmp_path: Path) -> None:
    swarm.create(tmp_path)
    versions = []
    for _ in range(6):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CHANGES, tmp_path, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout
        async with asyncio.timeout(20):
            await process.stdout.readline()
            before = file.read(tmp_path).version

            async def moved(before: int = before) -> bool:
                return file.read(tmp_path).version > before

            await eventually(moved)
        process.kill()
        await process.wait()
        versions.append(file.read(tmp_path).version)
        assert invites.read(tmp_path)
    assert versions == sorted(set(versions))
    with file.locked(tmp_path):
        pass
