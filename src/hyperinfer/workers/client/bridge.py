"""The gateway's contract as the bridge's HTTP routes see it: passed on, but for what they ask of the bridge itself."""

import asyncio
from typing import cast

from prometheus_client import CollectorRegistry

from hyperinfer.contracts import metrics
from hyperinfer.contracts.common import HEALTH, METRICS, MetricsText
from hyperinfer.contracts.method import NO_META, Meta, Method, Nothing, Reply, Request
from hyperinfer.errors import Draining
from hyperinfer.facilities.metrics import written
from hyperinfer.facilities.tasks import background
from hyperinfer.kernel.calls import Caller, Send
from hyperinfer.kernel.observation import Observation

ENDLESS = frozenset(method.name for method in metrics.PASSED_ON if method.streams)
"""Streams that go on for as long as anybody watches."""


class Bridge:
    """Passes calls on. Credentials are the callers' own, and nothing of a call is kept after it."""

    def __init__(self, gateway: Caller, own: Caller, *, observation: Observation, registry: CollectorRegistry) -> None:
        self._gateway = gateway
        self._own = own
        self._observation = observation
        self._registry = registry
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End what would go on for as long as anybody watches: the bridge is to stop."""
        self._stopping.set()

    async def call(
        self,
        method: Method[Request, Reply],
        request: Request,
        *,
        meta: Meta = NO_META,
        timeout_s: float = 30.0,
        sink: Send | None = None,
    ) -> Reply:
        """Call a method of the gateway; health and metrics are the bridge's own."""
        if method.name == HEALTH.name:
            return cast(Reply, await self._own.call(HEALTH, Nothing()))
        if method.name == METRICS.name:
            return cast(Reply, MetricsText(text=written(self._registry)))
        with self._observation.call(method) as seen:
            seen.goes_on(meta)
            if sink is None or method.name not in ENDLESS:
                return await self._gateway.call(method, request, meta=seen.meta, timeout_s=timeout_s, sink=sink)
            async with background(self._until_stopping(), name="watching"):
                return await self._gateway.call(method, request, meta=seen.meta, timeout_s=timeout_s, sink=sink)

    async def _until_stopping(self) -> None:
        await self._stopping.wait()
        raise Draining("This bridge is stopping; watch by another, or again shortly.", retry_after_s=1)
