"""A node that lives for a moment tells what it saw of a real DHT."""

import sys

import pytest

from hyperinfer.errors import StartError
from hyperinfer.facilities.net.driver.install import ensure_installed
from hyperinfer.facilities.net.settings import NetSettings
from hyperinfer.facilities.net.surroundings import look
from hyperinfer.testing.testnet import local_dht


async def test_nodes_of_a_dht_are_seen_and_say_how_we_look_to_them() -> None:
    async with local_dht() as settings:
        seen = await look(settings)
    assert seen.nodes >= 1
    assert seen.addresses == 1
    assert seen.router({"127.0.0.1"}) == "none"


async def test_where_nobody_answers_it_ends_in_time() -> None:
    await ensure_installed()
    seen = await look(NetSettings(bootstrap=("127.0.0.1:9",), host="127.0.0.1"), look_s=0.5)
    assert seen.nodes == 0
    assert seen.router({"127.0.0.1"}) == "unknown"


async def test_a_node_that_is_none_is_told() -> None:
    with pytest.raises(StartError, match="does not run"):
        await look(NetSettings(node=sys.executable), look_s=0.5)
