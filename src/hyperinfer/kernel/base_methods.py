"""What every worker answers: `ping`, `getServiceHealth`, `getMetrics`, `getLinks`, over the swarm and on its own port."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from hyperinfer import __version__
from hyperinfer.contracts.common import Health, MetricsText, PeerLinks, Pong
from hyperinfer.contracts.method import Nothing
from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.metrics import written
from hyperinfer.facilities.net import NetStatus
from hyperinfer.kernel.calls import Call
from hyperinfer.kernel.dispatch import Dispatcher
from hyperinfer.kernel.links import LinkTable
from hyperinfer.kernel.process_meters import PROCESS_ID
from hyperinfer.kernel.worker import Service

if TYPE_CHECKING:
    from starlette.routing import BaseRoute


class BaseMethods:
    """The base worker's own methods, for one worker."""

    def __init__(
        self,
        wtype: str,
        service: Service,
        *,
        dispatcher: Dispatcher,
        registry: CollectorRegistry,
        clock: Clock,
        net: Callable[[], NetStatus],
        links: LinkTable,
    ) -> None:
        self._wtype = wtype
        self._service = service
        self._dispatcher = dispatcher
        self._registry = registry
        self._clock = clock
        self._net = net
        self._links = links
        self._started = clock.monotonic()

    async def ping(self, request: Nothing, call: Call) -> Pong:
        """Say that this worker lives."""
        return Pong(status="healthy", timestamp=int(self._clock.now().timestamp() * 1000), service=self._wtype)

    async def health(self, request: Nothing, call: Call) -> Health:
        """Say whether it can serve."""
        return self.look()

    async def metrics(self, request: Nothing, call: Call) -> MetricsText:
        """Its metrics as text. A metrics worker, which asks everybody by itself, is told of this one alone."""
        await self._links.refresh()
        own = "metrics" in call.roles
        return MetricsText(text=written(self._registry) if own else self.metrics_text().decode())

    async def links(self, request: Nothing, call: Call) -> PeerLinks:
        """How it reaches the other members."""
        return await self.look_at_links()

    async def look_at_links(self) -> PeerLinks:
        """How it reaches the other members now."""
        await self._links.refresh()
        return self._links.look()

    async def measured_text(self) -> bytes:
        """What it shows in Prometheus' text format, its connections measured for it."""
        await self._links.refresh()
        return self.metrics_text()

    def metrics_text(self) -> bytes:
        """What it shows in Prometheus' text format."""
        shown = self._service.metrics_text
        return written(self._registry).encode() if shown is None else shown()

    @property
    def observe_routes(self) -> "Sequence[BaseRoute]":
        """Further routes of its own port."""
        return self._service.observe_routes

    def look(self) -> Health:
        """Its health now."""
        reasons = tuple(self._service.not_ready())
        status = "draining" if self._dispatcher.draining else "degraded" if reasons else "ready"
        return Health(
            status=status,
            service=self._wtype,
            version=__version__,
            uptime_s=round(self._clock.monotonic() - self._started, 3),
            reasons=reasons,
            swarm=self._net().sentence,
            process=PROCESS_ID,
        )
