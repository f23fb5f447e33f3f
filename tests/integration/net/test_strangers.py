"""Peers that nobody knows, where everybody may connect: so many from one host, and so many in all."""

import msgspec
import pytest
from tests.integration.net.conftest import CLIENT, METHODS, SERVER, Recorder

from hyperinfer.errors import PeerUnreachable
from hyperinfer.facilities.net import Admission
from hyperinfer.facilities.net.hyperswarm import hyperswarm
from hyperinfer.facilities.net.settings import NetSettings
from hyperinfer.kernel.identity import from_seed

STRANGERS = [from_seed(bytes([number]) * 32) for number in range(1, 5)]


@pytest.mark.parametrize("bound", ["max_stranger_connections", "max_stranger_connections_per_host"])
async def test_strangers_have_so_much_room_and_members_have_theirs(dht: NetSettings, bound: str) -> None:
    async with hyperswarm(msgspec.structs.replace(dht, **{bound: 2})) as here, hyperswarm(dht) as there:
        inbound = Recorder()
        server = await here.open(SERVER)
        await server.listen(
            inbound, methods=METHODS, admission=Admission(keys=frozenset([CLIENT.public_key]), everyone=True)
        )
        links = []
        for stranger in STRANGERS[:2]:
            endpoint = await there.open(stranger)
            links.append(await endpoint.connect(SERVER.public_key, Recorder(), timeout_s=5))
        assert {link.remote_host for link in inbound.links} == {"127.0.0.1"}
        third = await there.open(STRANGERS[2])
        with pytest.raises(PeerUnreachable):
            await third.connect(SERVER.public_key, Recorder(), timeout_s=8)
        member = await there.open(CLIENT)
        link = await member.connect(SERVER.public_key, Recorder(), timeout_s=5)
        assert await link.request("echo", b"1", timeout_s=5) == b"1"
        for link in links:
            assert await link.request("echo", b"1", timeout_s=5) == b"1"
