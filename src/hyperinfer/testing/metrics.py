"""A metrics worker that tells what a test says, for gateways that pass questions on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from hyperinfer.contracts.method import Nothing
from hyperinfer.contracts.metrics import GET_SYSTEM_HEALTH, WATCH_SYSTEM, SystemHealth, at_metrics
from hyperinfer.kernel.calls import Call, Caller, route
from hyperinfer.kernel.settings import WorkerSettings
from hyperinfer.kernel.worker import Context, Service, WorkerType


class FakeMetrics:
    """Tells `health` to whoever asks, and to whoever watches at every `collected`; `watching` are those who watch now, `nobody` is set
    while there is none."""

    def __init__(self, health: SystemHealth) -> None:
        self.health = health
        self.watching = 0
        self.nobody = asyncio.Event()
        self._collected = asyncio.Event()

    def collected(self) -> None:
        """Tell everybody who watches."""
        before, self._collected = self._collected, asyncio.Event()
        before.set()

    def worker(self) -> WorkerType[WorkerSettings]:
        """The worker, to be run in a swarm."""
        return WorkerType(name="metrics", settings=WorkerSettings, observe_port=9105, open=self._open)

    @asynccontextmanager
    async def _open(self, context: Context[WorkerSettings], own: Caller) -> AsyncIterator[Service]:
        routes = (
            route(at_metrics(GET_SYSTEM_HEALTH), self._tell),
            route(at_metrics(WATCH_SYSTEM), self._watch),
        )
        yield Service(routes=routes, announces=("metrics",))

    async def _tell(self, request: Nothing, call: Call) -> SystemHealth:
        return self.health

    async def _watch(self, request: Nothing, call: Call) -> Nothing:
        self.watching += 1
        self.nobody.clear()
        try:
            while True:
                collected = self._collected
                await call.stream([msgspec.json.encode(self.health)])
                await collected.wait()
        finally:
            self.watching -= 1
            if not self.watching:
                self.nobody.set()
