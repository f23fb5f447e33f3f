"""What is watched by a bridge ends with it."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from hyperinfer.contracts.method import Meta, Nothing
from hyperinfer.contracts.metrics import WATCH_SYSTEM
from hyperinfer.errors import Draining
from hyperinfer.kernel.calls import Send
from hyperinfer.kernel.observation import Observation
from hyperinfer.testing.gateway import FakeGateway
from hyperinfer.workers.client.bridge import Bridge


async def test_a_bridge_that_stops_ends_what_would_go_on() -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def endless(request: Any, meta: Meta, sink: Send | None) -> Nothing:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return Nothing()

    async def nobody(chunks: Sequence[bytes]) -> None:
        """Take nothing."""

    registry = CollectorRegistry()
    observation = Observation("client", registry=registry)
    bridge = Bridge(FakeGateway(watchSystem=endless), FakeGateway(), observation=observation, registry=registry)
    task = asyncio.create_task(bridge.call(WATCH_SYSTEM, Nothing(), sink=nobody))
    async with asyncio.timeout(5):
        await began.wait()
        bridge.stop()
        with pytest.raises(Draining):
            await task
    assert ended.is_set()
