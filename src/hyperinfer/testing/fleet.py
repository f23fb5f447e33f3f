"""Workers that a gateway chooses among, without any net: they have what a test says."""

import asyncio
from collections.abc import Mapping
from random import Random

import msgspec

from hyperinfer.contracts.auth import Principal
from hyperinfer.contracts.directory import AliasRecord
from hyperinfer.contracts.inference import ModelStatus, WorkerStatus
from hyperinfer.testing.clock import ManualClock
from hyperinfer.testing.gateway import FakeGateway
from hyperinfer.workers.gateway.balance import Balance
from hyperinfer.workers.gateway.catalogue import Catalogue, Wanted
from hyperinfer.workers.gateway.offers import Offer, Worker

ADA = Principal(user_id="ada", username="ada", email="ada@example.com")


def model(name: str = "m", *, state: str = "ready", slots: int = 4, busy: int = 0, **fields: object) -> ModelStatus:
    """A model's status; its fields are those of the contract."""
    status = ModelStatus(name=name, backend="fake", state=state, slots=slots, busy=busy, queued=0)
    return msgspec.structs.replace(status, **fields)


class FakeFleet:
    """A fleet that has what a test puts into it."""

    def __init__(self) -> None:
        self.workers: list[Worker] = []
        self.offers: dict[str, list[Offer]] = {}
        self._came = asyncio.Event()

    def add(self, *models: ModelStatus, draining: bool = False, now: float = -1000.0) -> Worker:
        """A worker that has been there since `now`, long ago if it is left out."""
        worker = Worker(len(self.workers).to_bytes(32, "big"), name="w", caller=FakeGateway(), now=now)
        self.workers.append(worker)
        self.report(worker, *models, draining=draining, now=now)
        return worker

    def report(self, worker: Worker, *models: ModelStatus, draining: bool = False, now: float = 0.0) -> None:
        """Have a worker report these."""
        worker.report(WorkerStatus(models=models, draining=draining), now)
        names = dict.fromkeys(name for worker in self.workers for name in worker.offers)
        self.offers = {name: [w.offers[name] for w in self.workers if name in w.offers] for name in names}
        self._came.set()
        self._came = asyncio.Event()

    @property
    def any_live(self) -> bool:
        """Whether some worker reports."""
        return any(worker.live for worker in self.workers)

    async def changed(self) -> None:
        """Wait until a worker reports."""
        await self._came.wait()


class ChoosingScene:
    """A balance and a catalogue over a fake fleet, with a clock that stands still. Times are in seconds."""

    def __init__(
        self, *, default_model: str = "", wait_s: float = 0.02, loading_wait_s: float = 0.02, **aliases: str
    ) -> None:
        self.fleet = FakeFleet()
        self.clock = ManualClock()
        self.aliases: Mapping[str, AliasRecord] = {
            alias: AliasRecord(models=tuple(models.split())) for alias, models in aliases.items()
        }
        self.catalogue = Catalogue(self.fleet, lambda: self.aliases, clock=self.clock, default_model=default_model)
        self.balance = Balance(
            self.fleet, clock=self.clock, wait_s=wait_s, loading_wait_s=loading_wait_s, chance=Random(1)
        )

    def wanted(self, name: str = "m", who: Principal = ADA) -> Wanted:
        """What somebody asks for by this name."""
        return self.catalogue.wanted(name, who)
