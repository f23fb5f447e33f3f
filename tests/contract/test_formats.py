"""Topics and keys as the official stack computes them."""

import msgspec
import pytest
from tests.contract.conftest import Node

from hyperinfer.kernel.identity import from_seed
from hyperinfer.protocol.topics import plain_topic


@pytest.mark.parametrize("name", ["gateway", "processor", "ä name", ""])
async def test_topics_and_keys_are_upstreams(node: Node, name: str) -> None:
    seed = bytes(range(32))
    process = await node("formats.js", name, seed.hex())
    output, _ = await process.communicate()
    assert msgspec.json.decode(output) == {
        "topic": plain_topic(name).hex(),
        "publicKey": from_seed(seed).public_key.hex(),
    }
