"""Introductions: a gateway proves itself to who knows the root key alone, and an impostor gets no credential."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from hyperinfer.contracts.common import PING
from hyperinfer.contracts.membership import INTRODUCE, Introduction
from hyperinfer.contracts.method import PUBLIC, Method, Nothing, Wire
from hyperinfer.errors import HyperinferError, NotFound, Untrusted
from hyperinfer.facilities.net import Admission
from hyperinfer.facilities.net.peers import Peers
from hyperinfer.facilities.net.streams import Streams
from hyperinfer.kernel import members as member_file
from hyperinfer.kernel import swarm
from hyperinfer.kernel.callers import PeerCaller
from hyperinfer.kernel.calls import Call, route
from hyperinfer.kernel.dispatch import Dispatcher
from hyperinfer.kernel.identity import from_seed, load_or_create
from hyperinfer.kernel.members import Members
from hyperinfer.kernel.membership.introduction import introduced
from hyperinfer.protocol import links
from hyperinfer.protocol.links import SwarmLink
from hyperinfer.testing.eventually import eventually

from .conftest import CLOCK, Machine, Machines, changed


class LogIn(Wire, frozen=True):
    password: str = ""


LOGIN = Method("login", LogIn, Nothing, PUBLIC)
IMPOSTOR = from_seed(b"i" * 32)


class Impostor:
    """Announces `gateway` under the swarm's topic and takes down every password; shows whatever it could get."""

    def __init__(self) -> None:
        self.shown: Introduction | None = None
        self.passwords: list[str] = []

    async def introduce(self, request: Nothing, call: Call) -> Introduction:
        if self.shown is None:
            raise NotFound("No.")
        return self.shown

    async def login(self, request: LogIn, call: Call) -> Nothing:
        self.passwords.append(request.password)
        return Nothing()

    @asynccontextmanager
    async def runs(self, machine: Machine, topic: bytes, nobody: Path) -> AsyncIterator[None]:
        endpoint = await machine.net.open(IMPOSTOR)
        dispatcher = Dispatcher(
            members=Members.load(nobody), clock=CLOCK, running=Streams(stall_timeout_s=1), own_key=IMPOSTOR.public_key
        )
        dispatcher.serve([route(INTRODUCE, self.introduce), route(LOGIN, self.login)], None)
        await endpoint.listen(dispatcher, methods=dispatcher.methods, admission=Admission(everyone=True))
        await endpoint.announce(topic)
        yield
        await endpoint.close()


async def log_in(client: Peers, link: SwarmLink, key: bytes) -> None:
    """What a client outside does: first the introduction, then the password."""
    peer = PeerCaller(client, key)
    await introduced(peer, key, root=link.root_key, role="gateway", clock=CLOCK)
    await peer.call(LOGIN, LogIn("hunter2"))


async def test_an_impostor_that_announces_gateway_gets_no_credential(any_machine: Machines, tmp_path: Path) -> None:
    a, evil, outside = await any_machine("a"), await any_machine("evil"), await any_machine("outside")
    impostor = Impostor()
    async with AsyncExitStack() as running:
        await running.enter_async_context(a.runs("auth", "gateway"))
        root = swarm.root_public_key(a.folder)
        assert root
        link = links.parse(str(SwarmLink(swarm.load(a.folder).key, root)))
        assert isinstance(link, SwarmLink)
        topic = swarm.SwarmKeys(link.swarm_key).topic("gateway")
        await running.enter_async_context(impostor.runs(evil, topic, tmp_path / "nobody"))
        client = await running.enter_async_context(outside.peers(b"o" * 32))
        members = a.members("gateway")
        await changed(members, lambda: certified(members, a.key("gateway")), timeout_s=5)

        async def both_found() -> bool:
            return {IMPOSTOR.public_key, a.key("gateway")} <= set(await client.find_now(topic))

        await eventually(both_found)
        with pytest.raises(HyperinferError):
            await log_in(client, link, IMPOSTOR.public_key)
        # It asks the genuine gateway, and passes on what that shows.
        genuine = PeerCaller(client, a.key("gateway"))
        impostor.shown = await genuine.call(INTRODUCE, Nothing())
        with pytest.raises(Untrusted, match="cannot prove it"):
            await log_in(client, link, IMPOSTOR.public_key)
        # It is a member, though no gateway: strangers are shown nothing for it.
        member_file.add(a.folder, IMPOSTOR.public_key, roles=["inference"], name="", now=CLOCK.now())
        await changed(members, lambda: bool(members.roles(IMPOSTOR.public_key)), timeout_s=5)
        with pytest.raises(Untrusted):
            await log_in(client, link, IMPOSTOR.public_key)
        assert impostor.passwords == []
        await introduced(genuine, a.key("gateway"), root=link.root_key, role="gateway", clock=CLOCK)


def certified(members: Members, key: bytes) -> bool:
    return members.published is not None and key.hex() in members.published.certificates


async def test_a_revoked_gateway_has_nothing_to_show(machine: Machines) -> None:
    a, outside = await machine("a"), await machine("outside")
    auth = load_or_create(a.home / "data" / "auth" / "identity")
    async with a.runs("auth", "gateway"), outside.peers(b"o" * 32) as client:
        members, gateway = a.members("gateway"), PeerCaller(client, a.key("gateway"))
        await changed(members, lambda: certified(members, a.key("gateway")), timeout_s=5)
        await gateway.call(INTRODUCE, Nothing())
        member_file.revoke(a.folder, a.key("gateway"), now=CLOCK.now(), auth=auth)
        await changed(members, lambda: not certified(members, a.key("gateway")), timeout_s=5)
        with pytest.raises(NotFound, match="no certificate"):
            await gateway.call(INTRODUCE, Nothing())
        await gateway.call(PING, Nothing())
