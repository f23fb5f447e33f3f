"""The driver's life: it is restarted when it dies, and never outlives its parent."""

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE

import psutil
import pytest
from tests.integration.net.conftest import CLIENT, SERVER, STRANGER, Ends, Recorder, join

from hyperinfer.errors import DriverLost, PeerLost, PeerUnreachable, StartError
from hyperinfer.facilities.net.hyperswarm import HyperswarmNet, hyperswarm
from hyperinfer.facilities.net.settings import NetSettings
from hyperinfer.testing.eventually import eventually

TOPIC = b"t" * 32


def kill(net: HyperswarmNet) -> None:
    assert net.driver is not None
    os.kill(net.driver.pid, signal.SIGKILL)


async def reached(ends: Ends) -> None:
    """The client finds the server by its topic and calls it."""

    async def answers() -> bool:
        try:
            if SERVER.public_key not in await ends.client.lookup(TOPIC):
                return False
            return await (await ends.link()).request("echo", b"again", timeout_s=5) == b"again"
        except (PeerUnreachable, PeerLost):
            return False

    await eventually(answers, timeout_s=15)


async def test_a_driver_that_dies_is_restarted_with_all_that_it_had(dht: NetSettings) -> None:
    async with hyperswarm(dht) as server_net, hyperswarm(dht) as client_net:
        ends = await join(server_net, client_net)
        await ends.server.announce(TOPIC)
        await reached(ends)
        kill(server_net)
        await reached(ends)
        assert server_net.status().driver_restarts == 1
        with pytest.raises(PeerUnreachable):
            await (await ends.stranger()).connect(SERVER.public_key, Recorder(), timeout_s=9)


async def test_calls_in_flight_fail_when_the_own_driver_dies(dht: NetSettings) -> None:
    async with hyperswarm(dht) as server_net, hyperswarm(dht) as client_net:
        ends = await join(server_net, client_net)
        link = await ends.link()
        call = asyncio.create_task(link.request("slow", b"{}", timeout_s=30))
        await ends.inbound.started.wait()
        kill(client_net)
        async with asyncio.timeout(3):
            with pytest.raises(DriverLost) as caught:
                await call
        assert caught.value.retryable
        assert link.closed


async def test_calls_in_flight_fail_when_the_peer_is_killed(dht: NetSettings) -> None:
    """A dead machine says no goodbye: the heartbeat notices."""
    async with hyperswarm(dht) as server_net, hyperswarm(dht) as client_net:
        ends = await join(server_net, client_net)
        link = await ends.link()
        call = asyncio.create_task(link.request("slow", b"{}", timeout_s=30))
        await ends.inbound.started.wait()
        kill(server_net)
        async with asyncio.timeout(5 * dht.heartbeat_s):
            with pytest.raises(PeerLost):
                await call


async def test_workers_of_one_process_reach_each_other_without_the_driver(dht: NetSettings) -> None:
    async with hyperswarm(dht) as net:
        ends = await join(net, net)
        link = await ends.link()
        kill(net)
        assert await link.request("echo", b"1", timeout_s=1) == b"1"


async def test_a_swarm_out_of_reach_is_offline_and_says_so() -> None:
    nowhere = NetSettings(bootstrap=("127.0.0.1:9",), host="127.0.0.1", lookup_timeout_s=0.5)
    async with hyperswarm(nowhere) as net:
        server = await net.open(SERVER)
        await server.announce(TOPIC)
        client = await net.open(CLIENT)
        assert net.status().state == "offline"
        assert net.status().reason
        assert await client.lookup(TOPIC) == [SERVER.public_key]


async def test_a_node_that_is_not_there_stops_the_start(dht: NetSettings) -> None:
    with pytest.raises(StartError, match=r"net\.node"):
        async with hyperswarm(NetSettings(node="/nowhere/node")):
            raise AssertionError("it started")


ORPHAN = """
import asyncio, sys
from hyperinfer.facilities.net.hyperswarm import hyperswarm
from hyperinfer.facilities.net.settings import NetSettings
from hyperinfer.kernel.identity import from_seed

async def main():
    async with hyperswarm(NetSettings(bootstrap=(sys.argv[1],), host="127.0.0.1", firewalled=False)) as net:
        class Hang:
            async def on_request(self, link, method, payload): await asyncio.Event().wait()
            def on_event(self, link, method, payload): pass
            def on_open(self, link): pass
            def on_close(self, link): pass
        from hyperinfer.facilities.net import Admission
        server = await net.open(from_seed(b"x" * 32))
        await server.listen(Hang(), methods=["slow"], admission=Admission(everyone=True))
        print(net.driver.pid, file=sys.stderr, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_a_driver_ends_with_its_parent_and_says_goodbye(dht: NetSettings) -> None:
    assert dht.bootstrap
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", ORPHAN, dht.bootstrap[0]), stdout=DEVNULL, stderr=PIPE
    )
    try:
        assert parent.stderr is not None
        driver = psutil.Process(int(await parent.stderr.readline()))
        async with hyperswarm(dht) as net:
            link = await (await net.open(CLIENT)).connect(STRANGER.public_key, Recorder(), timeout_s=5)
            call = asyncio.create_task(link.request("slow", b"{}", timeout_s=30))
            await asyncio.sleep(0.1)
            parent.kill()
            killed = time.monotonic()
            with pytest.raises(PeerLost):
                await call
            # Sooner than any heartbeat could notice.
            assert time.monotonic() - killed < dht.heartbeat_s
        await asyncio.to_thread(driver.wait, 5)
    finally:
        if parent.returncode is None:
            parent.kill()
        await parent.wait()
