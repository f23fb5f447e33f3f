"""What is known of a connection while it lasts, of one that has ended, and of a peer to which there is none."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest
from tests.integration.net.conftest import CLIENT, SERVER, STRANGER, Ends, Recorder, join

from hyperinfer.errors import PeerUnreachable
from hyperinfer.facilities.net import Admission, Endpoint, LinkState
from hyperinfer.facilities.net.hyperswarm import HyperswarmNet, hyperswarm
from hyperinfer.facilities.net.settings import NetSettings
from hyperinfer.kernel.identity import from_seed
from hyperinfer.testing.eventually import eventually

PAYLOAD = b"x" * 1000
CALLS = 20


async def talked(ends: Ends) -> None:
    link = await ends.link()
    for _ in range(CALLS):
        await link.request("echo", PAYLOAD, timeout_s=5)


def only(endpoint: Endpoint) -> LinkState:
    [state] = endpoint.links()
    return state


@pytest.fixture
async def apart(dht: NetSettings) -> AsyncIterator[Ends]:
    """Two machines of one site."""
    async with hyperswarm(dht) as server_net, hyperswarm(dht) as client_net:
        yield await join(server_net, client_net)


async def test_both_sides_know_whose_connection_it_is(ends: Ends) -> None:
    await talked(ends)
    await asyncio.gather(ends.client.measure(), ends.server.measure())
    ours, theirs = only(ends.client), only(ends.server)
    assert (ours.remote_key, ours.inbound) == (SERVER.public_key, False)
    assert (theirs.remote_key, theirs.inbound) == (CLIENT.public_key, True)
    assert ours.how == theirs.how == ("direct" if ends.client_net is not ends.server_net else "here")
    assert 0 <= ours.age_s < 60


async def test_bytes_and_round_trips_are_measured_on_the_wire(apart: Ends) -> None:
    await talked(apart)

    async def measured() -> bool:
        await asyncio.gather(apart.client.measure(), apart.server.measure())
        return bool(only(apart.client).sent_bytes and only(apart.client).round_trip_s)

    await eventually(measured)
    ours, theirs = only(apart.client), only(apart.server)
    for state in (ours, theirs):
        assert CALLS * len(PAYLOAD) < state.sent_bytes < 3 * CALLS * len(PAYLOAD)
        assert CALLS * len(PAYLOAD) < state.received_bytes < 3 * CALLS * len(PAYLOAD)
        assert state.round_trip_s is not None
        assert 0 < state.round_trip_s < 1
    status = apart.client_net.status()
    assert (status.router, status.host) == ("none", "127.0.0.1")
    assert status.nodes > 0


@pytest.mark.parametrize("side", ["client", "server"])
async def test_the_end_of_a_connection_is_told_with_all_that_it_carried(ends: Ends, side: str) -> None:
    ended: asyncio.Queue[LinkState] = asyncio.Queue()
    ends.client.on_end(ended.put_nowait)
    await talked(ends)
    link = ends.outbound.links[0] if side == "client" else ends.inbound.links[0]
    link.close()
    async with asyncio.timeout(5):
        state = await ended.get()
    assert state.remote_key == SERVER.public_key
    assert state.sent_bytes > CALLS * len(PAYLOAD) if state.how == "direct" else state.sent_bytes == 0
    assert not ends.client.links()


async def test_connections_of_a_driver_that_dies_are_told_as_ended(apart: Ends) -> None:
    ended: asyncio.Queue[LinkState] = asyncio.Queue()
    apart.client.on_end(ended.put_nowait)
    await talked(apart)
    assert isinstance(apart.client_net, HyperswarmNet)
    assert apart.client_net.driver is not None
    os.kill(apart.client_net.driver.pid, signal.SIGKILL)
    async with asyncio.timeout(5):
        assert (await ended.get()).remote_key == SERVER.public_key
    assert await apart.client.whereabouts(SERVER.public_key) == "unknown"
    await apart.client.measure()  # of nothing, and without a complaint


async def test_who_refuses_says_so_to_the_one_who_was_refused_alone(apart: Ends) -> None:
    stranger = await apart.stranger()
    with pytest.raises(PeerUnreachable):
        await stranger.connect(SERVER.public_key, Recorder(), timeout_s=2)
    assert await stranger.whereabouts(SERVER.public_key) == "refused"
    assert await apart.client.whereabouts(SERVER.public_key) == "silent"
    assert await apart.client.whereabouts(STRANGER.public_key) == "here"
    assert await apart.client.whereabouts(b"u" * 32) == "absent"

    await apart.server.admit(Admission(keys=frozenset([STRANGER.public_key])))

    async def taken_back() -> bool:
        return await stranger.whereabouts(SERVER.public_key) == "silent"

    await eventually(taken_back)
    await apart.server.close()
    assert await stranger.whereabouts(SERVER.public_key) == "absent"


async def test_who_is_full_says_so(dht: NetSettings) -> None:
    full = NetSettings(bootstrap=dht.bootstrap, host=dht.host, max_stranger_connections=0)
    async with hyperswarm(full) as server_net, hyperswarm(dht) as client_net:
        ends = await join(server_net, client_net)
        await ends.server.admit(Admission(everyone=True))
        stranger = await ends.stranger()
        with pytest.raises(PeerUnreachable) as caught:
            await stranger.connect(SERVER.public_key, Recorder(), timeout_s=2)
        assert caught.value.details == {"reason": "no_answer", "answered": False}
        assert await stranger.whereabouts(SERVER.public_key) == "full"


async def test_whoever_makes_up_keys_makes_a_machine_announce_no_more_than_its_bound(apart: Ends) -> None:
    strangers = [await apart.stranger(from_seed(bytes([number]) * 32)) for number in range(9)]

    async def refused(one: Endpoint) -> str:
        with pytest.raises(PeerUnreachable):
            await one.connect(SERVER.public_key, Recorder(), timeout_s=1)
        return await one.whereabouts(SERVER.public_key)

    told = await asyncio.gather(*map(refused, strangers))
    assert sorted(told) == ["refused"] * 6 + ["silent"] * 3
