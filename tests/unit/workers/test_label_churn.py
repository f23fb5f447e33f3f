"""Two days in which models, workers, people, keys, tiers, backends and errors come and go every minute: what is shown stays bounded,
and when they have gone nothing of them is left."""

from contextlib import suppress

import pytest
from prometheus_client import CollectorRegistry

from hyperinfer.contracts.auth import Principal
from hyperinfer.contracts.gateway import PROCESS_INFERENCE
from hyperinfer.contracts.inference import BackendStatus, ModelStatus, Processed, Usage, WorkerStatus
from hyperinfer.contracts.usage import UsageRecord
from hyperinfer.errors import HyperinferError, RateLimited, from_code
from hyperinfer.kernel.observation import Observation
from hyperinfer.testing.clock import ManualClock
from hyperinfer.testing.fleet import model
from hyperinfer.testing.gateway import FakeGateway
from hyperinfer.workers.gateway.active_users import MOST
from hyperinfer.workers.gateway.config import MeterSettings
from hyperinfer.workers.gateway.meters import Meters as GatewayMeters
from hyperinfer.workers.gateway.offers import Worker
from hyperinfer.workers.gateway.progress import Progress
from hyperinfer.workers.gateway.shown import ShownFleet
from hyperinfer.workers.inference.meters import Meters as InferenceMeters
from hyperinfer.workers.inference.times import Times

HOURS = 48
A_MINUTE = 2
"""New models, workers, people and so on in each."""
LIVES_MINUTES = 5
SCRAPED_EVERY_MINUTES = 60
MOST_SERIES = 20_000
"""Of one worker, whatever happens; docs/reference/metrics.md says so."""


class House:
    """A gateway's meters and a worker's, and what they are about just now."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.registries = {"gateway": CollectorRegistry(), "inference": CollectorRegistry()}
        gateway, inference = self.registries.values()
        self.observation = Observation("gateway", registry=gateway)
        self.meters = GatewayMeters(gateway, self.clock, MeterSettings(per_user=True, per_key=True))
        self.workers: list[Worker] = []
        self.meters.models.there = lambda: {name for worker in self.workers for name in worker.offers}
        ShownFleet(lambda: self.workers, lambda: 0, registry=gateway)
        self.inference = InferenceMeters(inference, self.clock)
        self.inference.show(lambda: self.status)
        self.status = WorkerStatus()

    def minute(self, number: int) -> None:
        """New ones come and are used, the oldest go."""
        names = [f"{number}-{n}" for n in range(A_MINUTE)]
        for name in names:
            worker = Worker(f"{name:>32}".encode(), name=f"worker {name}", caller=FakeGateway(), now=0)
            worker.report(WorkerStatus(models=tuple(model(f"{one} at {name}") for one in names)), 0)
            self.workers.append(worker)
            self.ask(name)
        del self.workers[: -LIVES_MINUTES * A_MINUTE]
        models = tuple(ModelStatus(name, f"backend {name}", "ready", 1, 1, 1) for name in names)
        self.status = WorkerStatus(models=models, backends=tuple(BackendStatus(f"at {n}", True, 1) for n in names))
        self.clock.advance(60)

    def ask(self, name: str) -> None:
        """One request of a new person, of a new tier, for a new model, and what a peer makes of it."""
        who = Principal(user_id=f"user {name}", username=name, email=name, key_id=f"key {name}", tier=f"tier {name}")
        with suppress(HyperinferError), self.observation.call(PROCESS_INFERENCE):
            raise from_code(f"CODE_{name}", "made up by a peer", {})
        self.meters.admitted(who)
        self.meters.limited(who, RateLimited("no", rule="requests_per_minute", scope="user"))
        self.meters.retries.labels(from_code(f"CODE_{name}", "made up by a peer", {}).code).inc()
        progress = Progress(prompt_estimate=1, clock=self.clock)
        progress.relayed([b'{"content":"one"}'])
        processed = Processed(Usage(prompt_tokens=1, completion_tokens=2), "stop", name)
        self.meters.answered(name, progress, processed)
        record = UsageRecord("", who.user_id, self.clock.now(), "success", name, prompt_tokens=1, completion_tokens=2)
        self.meters.used(who, record)
        mine = self.inference.model(name)
        mine.answered(processed, Times(self.clock, self.clock.monotonic()), speed=1)
        mine.queued_s.observe(0)
        mine.refused("full")

    def names(self) -> set[str]:
        """Of everything that came, what is still shown."""
        samples = (
            one for registry in self.registries.values() for metric in registry.collect() for one in metric.samples
        )
        return {value for sample in samples for value in sample.labels.values() if "-" in value}

    def series(self) -> dict[str, int]:
        """How many each shows."""
        return {
            name: sum(len(metric.samples) for metric in registry.collect())
            for name, registry in self.registries.items()
        }


@pytest.fixture
def house() -> House:
    return House()


@pytest.mark.slow
def test_series_stay_bounded_and_go_with_what_they_are_of(house: House) -> None:
    most = dict.fromkeys(house.series(), 0)
    for number in range(HOURS * 60):
        house.minute(number)
        if number % SCRAPED_EVERY_MINUTES == 0:
            most = {name: max(count, most[name]) for name, count in house.series().items()}
    assert all(1000 < count < MOST_SERIES for count in most.values()), most

    house.workers.clear()
    house.status = WorkerStatus()
    for _ in range(3):
        house.clock.advance(3700)
        house.series()
    assert not house.names()
    assert all(count < 1000 for count in house.series().values())


def test_people_are_forgotten_though_nobody_looks(house: House) -> None:
    for number in range(MOST + 500):
        house.meters.admitted(Principal(user_id=str(number), username="", email=""))
    assert len(house.meters._active._last) == MOST
    assert house.series()["gateway"] < MOST_SERIES
