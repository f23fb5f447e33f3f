"""The gateway's contract as the bridge's HTTP routes see it: passed on, but for what they ask of the bridge itself."""

from typing import cast

from prometheus_client import CollectorRegistry, generate_latest

from hyperinfer.contracts.common import HEALTH, METRICS, MetricsText
from hyperinfer.contracts.method import NO_META, Meta, Method, Nothing, Reply, Request
from hyperinfer.kernel.calls import Caller, Send
from hyperinfer.kernel.observation import Observation


class Bridge:
    """Passes calls on. Credentials are the callers' own, and nothing of a call is kept after it."""

    def __init__(self, gateway: Caller, own: Caller, *, observation: Observation, registry: CollectorRegistry) -> None:
        self._gateway = gateway
        self._own = own
        self._observation = observation
        self._registry = registry

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
            return cast(Reply, MetricsText(text=generate_latest(self._registry).decode()))
        with self._observation.call(method) as seen:
            seen.goes_on(meta)
            return await self._gateway.call(method, request, meta=seen.meta, timeout_s=timeout_s, sink=sink)
