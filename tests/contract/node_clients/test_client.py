"""The JavaScript client of ours against the real platform, over HTTP and over the swarm: one script for both."""

import socket

import pytest

from .conftest import Place, Run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def nobodys_port() -> int:
    """One that was free a moment ago."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@pytest.mark.parametrize("way", ["http", "gateway", "swarm"])
async def test_it_does_the_same_over_every_way(node: Run, place: Place, way: str) -> None:
    limited = await place.product.person(f"limited-{way}", requests_per_minute=1)
    said = await node(
        "--test",
        "--test-reporter=tap",
        "client.test.mjs",
        ADDRESS=place.ways[way],
        HTTP=place.ways["http"],
        KEY=place.product.key,
        LIMITED=limited,
        BOOTSTRAP=place.bootstrap,
        AWAY=f"http://127.0.0.1:{nobodys_port()}",
    )
    assert "\n# fail 0\n" in said


async def test_it_tells_gateways_from_impostors_and_bears_bad_ones(node: Run, place: Place) -> None:
    given = {"LINK": place.ways["swarm"], "KEY": place.product.key, "BOOTSTRAP": place.bootstrap}
    said = await node("--test", "--test-reporter=tap", "peers.test.mjs", **given)
    assert "\n# fail 0\n" in said
