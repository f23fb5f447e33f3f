"""Peers that send more than is taken: each costs its own connection, and never the process."""

import asyncio
import os
import time

import psutil
import pytest
from tests.contract.conftest import Node

from hyperinfer.facilities.net import Admission, Link
from hyperinfer.facilities.net.hyperswarm import hyperswarm
from hyperinfer.kernel.identity import from_seed
from hyperinfer.testing.testnet import local_dht, quick

MEGABYTE = 1024 * 1024


class Echo:
    """Answers with what it was sent; is blind for a while after `block_after` calls."""

    def __init__(self, *, block_after: int, block_s: float) -> None:
        self._block_after = block_after
        self._block_s = block_s
        self._calls = 0

    async def on_request(self, link: Link, method: str, payload: bytes) -> bytes:
        self._calls += 1
        if self._calls == self._block_after:
            time.sleep(self._block_s)  # noqa: ASYNC251 - the whole loop stands still: that is the case
        return payload

    def on_event(self, link: Link, method: str, payload: bytes) -> None: ...

    def on_open(self, link: Link) -> None: ...

    def on_close(self, link: Link) -> None: ...


@pytest.mark.parametrize(
    ("method", "size_bytes", "manner", "block_s"),
    [
        pytest.param("echo", 2_000, "blind", 0.0, id="answers that nobody reads"),
        pytest.param("nothing", 0, "blind", 0.0, id="unknown methods"),
        pytest.param("echo", 10_000, "reading", 3.0, id="while Python stands still"),
    ],
)
async def test_a_peer_that_floods_loses_its_connection(
    node: Node, method: str, size_bytes: int, manner: str, block_s: float
) -> None:
    async with local_dht() as settings, hyperswarm(quick(settings)) as net:
        endpoint = await net.open(from_seed(b"s" * 32))
        inbound = Echo(block_after=2, block_s=block_s)
        await endpoint.listen(inbound, methods=["echo"], admission=Admission(everyone=True))
        assert settings.bootstrap
        assert net.driver is not None
        before = memory_bytes(net.driver.pid)
        flood = await node(
            "flood.js", settings.bootstrap[0], endpoint.public_key.hex(), method, str(size_bytes), manner
        )
        try:
            async with asyncio.timeout(30):
                output, _ = await flood.communicate()
        finally:
            if flood.returncode is None:
                flood.kill()
                await flood.wait()
        assert output == b"closed\n"
        assert memory_bytes(net.driver.pid) - before < 500 * MEGABYTE


def memory_bytes(driver: int) -> int:
    """What this process and its driver take."""
    return sum(psutil.Process(pid).memory_info().rss for pid in (os.getpid(), driver))
