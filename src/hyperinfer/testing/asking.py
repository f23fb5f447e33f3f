"""A member with the role of a gateway that only asks: for tests of what gateways call."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from hyperinfer.kernel.calls import Caller
from hyperinfer.kernel.settings import WorkerSettings
from hyperinfer.kernel.worker import Context, Service, WorkerType


class AskingGateway:
    """Once its worker runs, `service(name)` is a contract found over the swarm, as a gateway finds it."""

    service: Callable[[str], Caller]

    def worker(self) -> WorkerType[WorkerSettings]:
        """The worker, to be run in a swarm."""
        return WorkerType(name="gateway", settings=WorkerSettings, observe_port=9100, open=self._open)

    @asynccontextmanager
    async def _open(self, context: Context[WorkerSettings], own: Caller) -> AsyncIterator[Service]:
        self.service = context.service
        yield Service(routes=())
