"""A gateway reached by its link: found, held against it, waited for, and never asked the same thing twice."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, cast

import pytest

from hyperinfer.contracts.membership import INTRODUCE, Epoch, Introduction, Member, MemberList
from hyperinfer.contracts.method import PUBLIC, Method, Nothing, Wire
from hyperinfer.errors import (
    BackendFailed,
    Draining,
    HyperinferError,
    NotFound,
    PeerLost,
    PeerUnreachable,
)
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.facilities.net import Admission, Endpoint, Identity, Inbound, Link
from hyperinfer.facilities.net.memory import MemoryEndpoint, MemoryNet
from hyperinfer.facilities.net.peers import Peers
from hyperinfer.facilities.net.settings import NetSettings
from hyperinfer.facilities.net.streams import Streams
from hyperinfer.kernel.calls import Call, route
from hyperinfer.kernel.dispatch import Dispatcher
from hyperinfer.kernel.gateways import LinkedGateway, OwnSwarm, Place, search
from hyperinfer.kernel.gateways import linked as implementation
from hyperinfer.kernel.identity import from_seed
from hyperinfer.kernel.members import Members, add, revoke
from hyperinfer.kernel.swarm import SwarmKeys
from hyperinfer.protocol import membership
from hyperinfer.protocol.links import GatewayLink, SwarmLink
from hyperinfer.testing.eventually import eventually

ROOT, AUTH, CLIENT = (from_seed(letter * 32) for letter in (b"r", b"a", b"c"))
CLOCK = SystemClock()
KEYS = SwarmKeys(b"k" * 32)
TOPIC = KEYS.topic("gateway")
SWARM = SwarmLink(KEYS.key, ROOT.public_key)


class Said(Wire, frozen=True):
    text: str = ""


SAY = Method("say", Said, Said, PUBLIC, streams=True)


class Gateway:
    """A gateway, or somebody who says to be one; `shown` is its introduction, `fails` what it answers with."""

    def __init__(self, net: MemoryNet, seed: bytes, folder: Path) -> None:
        self.identity = from_seed(seed)
        self.heard: list[str] = []
        self.introduced = 0
        self.shown: Introduction | HyperinferError = NotFound("I have none.")
        self.fails: HyperinferError | None = None
        self.chunks_first: Sequence[bytes] = ()
        self.hangs = asyncio.Event()
        self.hangs.set()
        self.endpoint: MemoryEndpoint | None = None
        self._net, self._folder = net, folder
        self.dispatcher: Dispatcher

    @property
    def key(self) -> bytes:
        return self.identity.public_key

    def certified(self, *, root: Identity = ROOT, role: str = "gateway", key: bytes | None = None) -> "Gateway":
        """Have a certificate to show: a good one, or one that is not."""
        who = key or self.key
        epoch = membership.sign_epoch(Epoch(1, AUTH.public_key.hex()), root_seed=root.seed)
        members = MemberList(1, 1, CLOCK.now(), (Member(who.hex(), (role,)),))
        published = membership.publish(members, epoch=epoch, auth_seed=AUTH.seed, introduced=frozenset({role}))
        self.shown = Introduction(epoch, published.certificates[who.hex()])
        return self

    async def start(self, *, announces: bool = True) -> "Gateway":
        endpoint = self.endpoint = await self._net.open(self.identity)
        self.dispatcher = Dispatcher(
            members=Members.load(self._folder),
            clock=CLOCK,
            running=Streams(stall_timeout_s=5),
            own_key=self.key,
        )
        self.dispatcher.serve([route(INTRODUCE, self.introduce), route(SAY, self.say)], None)
        await endpoint.listen(self.dispatcher, methods=self.dispatcher.methods, admission=Admission(everyone=True))
        if announces:
            await endpoint.announce(TOPIC)
        return self

    async def stop(self) -> None:
        assert self.endpoint is not None
        await self.endpoint.close()

    async def introduce(self, request: Nothing, call: Call) -> Introduction:
        self.introduced += 1
        if isinstance(self.shown, HyperinferError):
            raise self.shown
        return self.shown

    async def say(self, request: Said, call: Call) -> Said:
        self.heard.append(request.text)
        if call.send is not None and self.chunks_first:
            await call.send(self.chunks_first)
        await self.hangs.wait()
        if self.fails is not None:
            raise self.fails
        return request


class Road:
    """The client's endpoint, which counts look-ups; connecting to the keys in `dead` hangs."""

    def __init__(self, endpoint: MemoryEndpoint) -> None:
        self._endpoint = endpoint
        self.dead: set[bytes] = set()
        self.lookups = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._endpoint, name)

    async def connect(self, public_key: bytes, inbound: Inbound, *, timeout_s: float) -> Link:
        if public_key in self.dead:
            await asyncio.Event().wait()
        return await self._endpoint.connect(public_key, inbound, timeout_s=timeout_s)

    async def lookup(self, topic: bytes) -> list[bytes]:
        self.lookups += 1
        return [*self.dead, *await self._endpoint.lookup(topic)]


class World:
    """A net with gateways on it, and somebody who wants one."""

    def __init__(self, stack: AsyncExitStack, folder: Path) -> None:
        self.net = MemoryNet()
        self.folder = folder
        self.road: Road
        self._stack = stack
        self._peers: Peers | None = None

    def gateway(self, seed: bytes = b"g" * 32) -> Gateway:
        return Gateway(self.net, seed, self.folder)

    async def client(self, place: Place, *, wait_s: float = 0.3) -> LinkedGateway:
        if self._peers is None:
            self.road = Road(await self.net.open(CLIENT))
            peers = Peers(cast(Endpoint, self.road), clock=CLOCK, settings=NetSettings())
            self._peers = await self._stack.enter_async_context(peers)
        return LinkedGateway(place, peers=self._peers, clock=CLOCK, wait_s=wait_s)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        yield World(stack, tmp_path)


async def say(client: LinkedGateway, text: str = "hello", *, timeout_s: float = 5.0) -> str:
    return (await client.call(SAY, Said(text), timeout_s=timeout_s)).text


# --- one gateway by its key -----------------------------------------------------------------------------------


async def test_a_gateway_is_reached_by_its_key(world: World) -> None:
    gateway = await world.gateway().start(announces=False)
    client = await world.client(GatewayLink(gateway.key))
    before = client.trouble
    assert before == f"The gateway hyper://{gateway.key.hex()[:12]}… is being looked for."
    assert await say(client) == "hello"
    assert client.trouble is None
    assert gateway.introduced == 0


async def test_a_call_waits_for_a_gateway_that_comes(world: World) -> None:
    gateway = world.gateway()
    client = await world.client(GatewayLink(gateway.key), wait_s=5.0)
    calls = [asyncio.create_task(say(client, f"{number}")) for number in range(50)]
    await asyncio.sleep(0)
    await gateway.start()
    assert await asyncio.gather(*calls) == [f"{number}" for number in range(50)]
    assert sorted(gateway.heard) == sorted(f"{number}" for number in range(50))


async def test_a_call_that_found_none_in_time_says_which_and_since_when(world: World) -> None:
    gateway = world.gateway()
    client = await world.client(GatewayLink(gateway.key))
    with pytest.raises(
        PeerUnreachable, match=f"hyper://{gateway.key.hex()[:12]}… has been out of reach for 0 s"
    ) as caught:
        await say(client)
    assert "UTC" in caught.value.message
    assert caught.value.details["retry_after_s"] > 0
    assert client.trouble is not None
    assert client.trouble.startswith("The gateway hyper://")


async def test_waiting_ends_with_the_time_that_the_call_has(world: World) -> None:
    client = await world.client(GatewayLink(world.gateway().key), wait_s=60.0)
    async with asyncio.timeout(5):
        with pytest.raises(PeerUnreachable):
            await say(client, timeout_s=0.1)


async def test_no_more_than_so_many_wait(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(implementation, "MAX_WAITING", 2)
    gateway = world.gateway()
    client = await world.client(GatewayLink(gateway.key), wait_s=30.0)
    waiting = [asyncio.create_task(say(client)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(PeerUnreachable):
        await say(client)
    await gateway.start()
    assert await asyncio.gather(*waiting) == ["hello"] * 2


async def test_who_waits_may_give_up_without_harm_to_the_others(world: World) -> None:
    gateway = world.gateway()
    client = await world.client(GatewayLink(gateway.key), wait_s=30.0)
    waiting = [asyncio.create_task(say(client)) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.wait(waiting[:1])
    await gateway.start()
    assert await asyncio.gather(*waiting[1:]) == ["hello"] * 2


# --- nothing twice --------------------------------------------------------------------------------------------


async def test_a_call_that_broke_off_is_not_made_again(world: World) -> None:
    gateway = await world.gateway().start()
    gateway.hangs.clear()
    client = await world.client(GatewayLink(gateway.key))
    call = asyncio.create_task(say(client, "once"))
    await eventually(lambda: _is(bool(gateway.heard)))
    await gateway.stop()
    with pytest.raises(PeerLost, match="not been sent again"):
        await call
    assert client.trouble is not None
    gateway.hangs.set()
    await gateway.start()
    assert await say(client, "then") == "then"
    assert gateway.heard == ["once", "then"]


@pytest.mark.parametrize(
    "error",
    [
        PeerUnreachable("Auth cannot be reached."),
        PeerLost("A worker was lost."),
        Draining("A worker is stopping."),
        Draining("A worker is stopping.", worker="ab" * 32),
        BackendFailed("No."),
    ],
    ids=["unreachable", "lost", "draining", "draining, named", "failed"],
)
async def test_what_a_gateway_says_of_others_is_passed_on(world: World, error: HyperinferError) -> None:
    gateway = await world.gateway().start()
    gateway.fails = error
    client = await world.client(GatewayLink(gateway.key))
    with pytest.raises(type(error), match=error.message):
        await say(client)
    assert gateway.heard == ["hello"]
    assert client.trouble is None


async def test_a_stream_that_broke_off_is_not_begun_again(world: World) -> None:
    gateway = await world.gateway().start()
    gateway.chunks_first, gateway.fails = (b"1", b"2"), Draining("A worker is stopping.")
    client = await world.client(GatewayLink(gateway.key))
    chunks: list[bytes] = []

    async def take(more: Sequence[bytes]) -> None:
        chunks.extend(more)

    with pytest.raises(Draining):
        await client.call(SAY, Said("once"), timeout_s=5, sink=take)
    assert chunks == [b"1", b"2"]
    assert gateway.heard == ["once"]


# --- a swarm's gateways ---------------------------------------------------------------------------------------


async def test_any_gateway_of_the_swarm_does_that_proves_itself_once(world: World) -> None:
    gateway = await world.gateway().certified().start()
    client = await world.client(SWARM)
    assert await asyncio.gather(*(say(client, f"{number}") for number in range(20))) == [f"{n}" for n in range(20)]
    assert gateway.introduced == 1


IMPOSTORS: dict[str, Callable[[Gateway], object]] = {
    "nothing to show": lambda one: None,
    "of another root": lambda one: one.certified(root=AUTH),
    "no gateway": lambda one: one.certified(role="inference"),
    "somebody else's": lambda one: one.certified(key=b"x" * 32),
    "out of its mind": lambda one: setattr(one, "shown", BackendFailed("?")),
}


@pytest.mark.parametrize("shows", IMPOSTORS.values(), ids=IMPOSTORS.keys())
async def test_an_impostor_is_asked_nothing(world: World, shows: Callable[[Gateway], object]) -> None:
    impostor = await world.gateway(b"i" * 32).start()
    shows(impostor)
    client = await world.client(SWARM)
    with pytest.raises(PeerUnreachable, match="cannot prove it"):
        await say(client, "my password")
    assert impostor.introduced == 1  # it is then left alone for a while
    genuine = await world.gateway().certified().start()
    assert await say(client, "my password") == "my password"
    assert genuine.heard == ["my password"]
    assert impostor.heard == []


async def test_a_gateway_proves_itself_again_after_a_while(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "PROVEN_S", 0.0)
    gateway = await world.gateway().certified().start()
    client = await world.client(SWARM)
    assert await say(client) == "hello"
    gateway.shown = NotFound("Revoked.")
    with pytest.raises(PeerUnreachable):
        await say(client)
    assert gateway.heard == ["hello"]


async def test_a_dead_key_does_not_hold_up_the_living(world: World) -> None:
    client = await world.client(SWARM, wait_s=5.0)
    world.road.dead = {bytes([number]) * 32 for number in range(3)}
    await world.gateway().certified().start()
    async with asyncio.timeout(3):
        assert await say(client) == "hello"


async def test_a_gateway_that_stops_is_left_for_another(world: World) -> None:
    first = await world.gateway().certified().start()
    client = await world.client(SWARM, wait_s=5.0)
    assert await say(client) == "hello"
    second = await world.gateway(b"h" * 32).certified().start()
    await first.dispatcher.drain(0)
    assert await say(client, "go on") == "go on"
    assert (first.heard, second.heard) == (["hello"], ["go on"])


async def test_a_gateway_that_stops_is_waited_for_where_there_is_no_other(world: World) -> None:
    gateway = await world.gateway().certified().start()
    client = await world.client(SWARM, wait_s=10.0)
    assert await say(client) == "hello"
    await gateway.dispatcher.drain(0)
    call = asyncio.create_task(say(client, "go on"))
    await eventually(lambda: _is(client.trouble is not None))  # it has been told
    await gateway.stop()
    await gateway.start()
    assert await call == "go on"


async def test_one_search_serves_all_who_wait(world: World) -> None:
    client = await world.client(SWARM)
    ends = await asyncio.gather(*(say(client) for _ in range(200)), return_exceptions=True)
    assert all(isinstance(end, PeerUnreachable) for end in ends)
    assert world.road.lookups < 10


# --- this machine's own swarm ---------------------------------------------------------------------------------


async def test_of_its_own_swarm_a_machine_takes_the_members_word(world: World) -> None:
    impostor = await world.gateway(b"i" * 32).certified().start()
    gateway = await world.gateway().start()
    folder = world.folder / "swarm"
    members = Members.load(folder)
    client = await world.client(OwnSwarm(KEYS, members))
    with pytest.raises(PeerUnreachable, match="of this machine's swarm"):
        await say(client)
    add(folder, gateway.key, roles=["gateway"], name="", now=CLOCK.now())
    members.refresh()
    assert await say(client) == "hello"
    revoke(folder, gateway.key, now=CLOCK.now())
    members.refresh()
    with pytest.raises(PeerUnreachable):
        await say(client)
    assert gateway.heard == ["hello"]
    assert impostor.heard == []


async def _is(value: bool) -> bool:
    return value
