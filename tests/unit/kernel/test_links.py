"""The table of links, and what Prometheus sees of it: connections, members out of reach and why, names and bounds."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from hyperinfer.contracts.common import PeerLink
from hyperinfer.contracts.membership import Member
from hyperinfer.errors import PeerUnreachable
from hyperinfer.facilities.net import Endpoint, LinkState, NetStatus
from hyperinfer.facilities.net.peers import Peers
from hyperinfer.facilities.net.settings import NetSettings
from hyperinfer.kernel import members as lists
from hyperinfer.kernel.identity import from_seed
from hyperinfer.kernel.link_meters import MAX_PEERS, LinkMeters
from hyperinfer.kernel.links import MAX_STRANGERS, SIGHTED_S, SILENT_S, LinkTable
from hyperinfer.kernel.members import Members
from hyperinfer.kernel.membership.file import change
from hyperinfer.kernel.swarm import SwarmKeys
from hyperinfer.protocol.link_words import Whereabouts
from hyperinfer.testing.clock import ManualClock

SWARM = SwarmKeys(b"k" * 32)
ONLINE = NetStatus("online", router="steady", host="203.0.113.7", nodes=20)


def key(number: int) -> bytes:
    return from_seed(number.to_bytes(32, "big")).public_key


OWN, GPU, OLD, AUTH = (key(number) for number in range(1, 5))


@dataclass
class Road:
    """An endpoint whose connections are as the test says; connecting fails as it says."""

    public_key: bytes = OWN
    states: list[LinkState] = field(default_factory=list)
    error: PeerUnreachable | None = None
    found: dict[bytes, list[bytes]] = field(default_factory=dict)
    where: dict[bytes, Whereabouts] = field(default_factory=dict)
    here: set[bytes] = field(default_factory=set)
    asked: list[bytes] = field(default_factory=list)
    measured: int = 0
    ended: Any = None

    def links(self) -> Sequence[LinkState]:
        return self.states

    async def measure(self) -> None:
        self.measured += 1

    def on_end(self, listener: Any) -> None:
        self.ended = listener

    def is_here(self, public_key: bytes) -> bool:
        return public_key in self.here

    async def whereabouts(self, public_key: bytes) -> Whereabouts:
        self.asked.append(public_key)
        return self.where.get(public_key, "unknown")

    async def lookup(self, topic: bytes) -> list[bytes]:
        return self.found.get(topic, [])

    async def connect(self, public_key: bytes, inbound: Any, *, timeout_s: float) -> Any:
        assert self.error is not None
        raise self.error


@dataclass
class World:
    """A worker's table, with the members of its swarm in a folder."""

    folder: Path
    road: Road
    clock: ManualClock
    peers: Peers
    members: Members
    net: NetStatus = ONLINE
    table: LinkTable = field(init=False)
    meters: LinkMeters = field(init=False)

    def __post_init__(self) -> None:
        self.table = LinkTable(
            cast(Endpoint, self.road),
            peers=self.peers,
            members=self.members,
            swarm=SWARM,
            clock=self.clock,
            net=lambda: self.net,
        )
        self.meters = LinkMeters(self.table)

    def member(self, public_key: bytes, name: str, role: str = "inference") -> None:
        lists.add(self.folder, public_key, roles=[role], name=name, now=self.clock.now())
        self.members.refresh()

    async def fail(self, public_key: bytes, **details: Any) -> None:
        self.road.error = PeerUnreachable("The peer cannot be reached.", **details)
        with pytest.raises(PeerUnreachable):
            await self.peers.link(public_key)

    def row(self, name: str) -> PeerLink:
        [found] = [link for link in self.table.look().links if link.name == name]
        return found


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    road, clock, members = Road(), ManualClock(), Members.load(tmp_path)
    async with Peers(cast(Endpoint, road), clock=clock, settings=NetSettings()) as peers:
        one = World(tmp_path, road, clock, peers, members)
        one.member(OWN, "gateway", "gateway")
        one.member(GPU, "gpu-box")
        yield one


def state(public_key: bytes, **more: Any) -> LinkState:
    known: dict[str, Any] = {"inbound": False, "how": "direct", "age_s": 5.0}
    return LinkState(remote_key=public_key, **(known | more))


def shown(meters: LinkMeters) -> dict[str, float]:
    """Samples by their text, as Prometheus reads them."""
    registry = CollectorRegistry()
    registry.register(meters)
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        f"{one.name}{sorted(one.labels.values())}".removeprefix("ai_platform_net_"): one.value
        for family in families
        for one in family.samples
    }


async def test_a_member_that_nobody_has_called_is_not_tried(world: World) -> None:
    row = world.row("gpu-box")
    assert (row.how, row.reason, row.trouble, row.since) == ("none", "not_tried", "", None)
    assert not [name for name in shown(world.meters) if name.startswith("unreachable")]


async def test_an_open_connection_is_shown_with_its_figures_and_measured_first(world: World) -> None:
    world.clock.advance(60)
    world.road.states = [state(GPU, how="punched", round_trip_s=0.012, sent_bytes=7, received_bytes=9, router="steady")]
    await world.table.refresh()
    assert world.road.measured == 1
    row = world.row("gpu-box")
    assert (row.key, row.roles, row.how, row.round_trip_s) == (GPU.hex(), ("inference",), "punched", 0.012)
    assert (row.sent_bytes, row.received_bytes, row.router, row.since) == (7, 9, "steady", "2026-01-01T00:00:55.000Z")
    seen = world.table.look()
    assert (seen.router, seen.address, seen.swarm) == ("steady", "203.0.113.7", "online")


async def test_connections_of_both_directions_are_rows_of_their_own(world: World) -> None:
    world.road.states = [state(GPU), state(GPU, inbound=True)]
    assert [link.inbound for link in world.table.look().links] == [False, True]
    samples = shown(world.meters)
    assert samples["links['direct', 'outbound']"] == samples["links['direct', 'inbound']"] == 1


async def test_a_member_that_was_tried_says_why_not_since_when_and_when_again(world: World) -> None:
    await world.fail(GPU, reason="offline")
    world.clock.advance(1)
    await world.fail(GPU, reason="offline")
    row = world.row("gpu-box")
    assert (row.how, row.reason, row.since) == ("none", "offline", "2026-01-01T00:00:00.000Z")
    assert row.trouble
    assert row.do
    assert row.next_try_s == 0.5
    samples = shown(world.meters)
    assert samples["unreachable['gpu-box', 'offline']"] == 1
    assert samples["connects_total['offline']"] == 2


@pytest.mark.parametrize(
    ("where", "reason", "said"),
    [("refused", "refused", "does not admit"), ("full", "refused", "no room"), ("silent", "offline", "20 minutes")],
)
async def test_what_failed_for_several_reasons_is_told_apart_by_the_dht(
    world: World, where: Whereabouts, reason: str, said: str
) -> None:
    await world.fail(GPU, reason="refused")
    assert "just gone, has no room, or admits" in world.row("gpu-box").trouble
    world.road.where[GPU] = where
    await world.table.ask()
    row = world.row("gpu-box")
    assert row.reason == reason
    assert said in row.trouble
    assert shown(world.meters)[f"unreachable['gpu-box', '{reason}']"] == 1


async def test_the_dht_is_asked_of_a_peer_once_a_minute_and_of_none_that_is_reached_or_plainly_away(
    world: World,
) -> None:
    world.member(OLD, "old")
    world.member(AUTH, "auth", "auth")
    await world.fail(GPU, reason="no_answer", answered=False)
    await world.fail(OLD, reason="offline")
    await world.fail(AUTH, reason="refused")
    world.road.states = [state(AUTH)]
    for _ in range(3):
        await world.table.ask()
    assert world.road.asked == [GPU]
    world.clock.advance(SIGHTED_S + 1)
    await world.table.ask()
    assert world.road.asked == [GPU, GPU]


async def test_of_one_that_is_silent_the_dht_is_soon_asked_again(world: World) -> None:
    await world.fail(GPU, reason="refused")
    world.road.where[GPU] = "silent"
    await world.table.ask()
    world.road.where[GPU] = "refused"
    world.clock.advance(SILENT_S)
    await world.table.ask()
    assert world.row("gpu-box").reason == "refused"


async def test_who_is_there_and_not_found_by_its_role_is_not_announced(world: World) -> None:
    await world.peers.find(SWARM.topic("inference"))
    assert world.row("gpu-box").reason == "not_tried"  # until the DHT has told whether it is there at all
    world.road.where[GPU] = "silent"
    await world.table.ask()
    row = world.row("gpu-box")
    assert (row.reason, row.since) == ("not_announced", "2026-01-01T00:00:00.000Z")
    world.road.where[GPU] = "absent"
    world.clock.advance(SIGHTED_S + 1)
    await world.peers.find(SWARM.topic("inference"))
    await world.table.ask()
    row = world.row("gpu-box")
    assert (row.reason, row.since) == ("offline", "2026-01-01T00:01:01.000Z")
    world.road.found[SWARM.topic("inference")] = [GPU]
    await world.peers.find(SWARM.topic("inference"))
    assert world.row("gpu-box").reason == "not_tried"


async def test_a_machine_out_of_reach_itself_blames_nobody(world: World) -> None:
    world.net = NetStatus("offline", "no node of the DHT answers")
    await world.fail(GPU, reason="offline")
    row = world.row("gpu-box")
    assert row.reason == "no_answer"
    assert "This machine" in row.trouble
    assert shown(world.meters)["online[]"] == 0


async def test_strangers_are_counted_and_the_newest_shown_without_a_name(world: World) -> None:
    strangers = [state(key(100 + at), inbound=True, age_s=float(at), sent_bytes=1) for at in range(MAX_STRANGERS + 6)]
    world.road.states = [state(GPU, sent_bytes=5), *reversed(strangers)]
    seen = world.table.look()
    assert seen.strangers == MAX_STRANGERS + 6
    assert [link.key for link in seen.links if not link.name] == [key(100 + at).hex() for at in range(MAX_STRANGERS)]
    samples = shown(world.meters)
    assert samples["link_bytes_total['gpu-box', 'sent']"] == 5
    assert samples["link_bytes_total['sent', 'stranger']"] == MAX_STRANGERS + 6
    assert not [name for name in samples if key(100).hex()[:12] in name]


async def test_bytes_of_connections_that_have_ended_stay_counted_until_the_member_goes(world: World) -> None:
    meters = world.meters
    world.road.ended(state(GPU, sent_bytes=100, received_bytes=10))
    world.road.ended(state(key(99), sent_bytes=3))
    world.road.states = [state(GPU, sent_bytes=1)]
    samples = shown(meters)
    assert samples["link_bytes_total['gpu-box', 'sent']"] == 101
    assert samples["link_bytes_total['gpu-box', 'received']"] == 10
    assert samples["link_bytes_total['sent', 'stranger']"] == 3
    world.road.states = []
    lists.revoke(world.folder, GPU, now=world.clock.now())
    world.members.refresh()
    assert not [name for name in shown(meters) if "gpu-box" in name]
    world.member(GPU, "gpu-box")
    assert not [name for name in shown(meters) if "link_bytes" in name and "gpu-box" in name]


async def test_so_many_members_have_a_series_of_their_own_and_the_others_one_together(world: World) -> None:
    keys = [key(1000 + number) for number in range(MAX_PEERS + 10)]
    members = tuple(
        Member(public_key=one.hex(), roles=("inference",), name=f"m{at}", since=world.clock.now())
        for at, one in enumerate(keys)
    )
    change(world.folder, lambda _: members, now=world.clock.now(), auth=None)
    world.members.refresh()
    world.road.states = [state(one, round_trip_s=0.1, sent_bytes=1) for one in keys]
    samples = shown(world.meters)
    peers = [name for name in samples if name.startswith("link_round_trip_seconds")]
    assert len(peers) == MAX_PEERS + 1
    assert samples["link_bytes_total['other', 'sent']"] == 10


async def test_members_of_one_name_are_told_apart_by_their_keys(world: World) -> None:
    world.member(OLD, "gpu-box")
    names = {link.name for link in world.table.look().links}
    assert names == {f"gpu-box-{GPU.hex()[:8]}", f"gpu-box-{OLD.hex()[:8]}"}


async def test_a_worker_of_the_same_process_is_reached_before_it_was_ever_called(world: World) -> None:
    assert world.row("gpu-box").reason == "not_tried"
    world.road.here.add(GPU)
    assert (world.row("gpu-box").how, world.row("gpu-box").reason) == ("here", "")
    world.road.states.append(LinkState(remote_key=GPU, inbound=True, how="here", age_s=0.0))
    assert world.row("gpu-box").inbound, "told once, by its link"
