"""Choosing an offer: ready ones alone, broken ones after their pause, with a wait and errors that say what is wrong."""

import asyncio
from random import Random

import pytest

from hyperinfer.contracts.inference import ModelStatus, WorkerStatus
from hyperinfer.errors import ModelNotFound, Unavailable
from hyperinfer.protocol.breaker import FAILURES
from hyperinfer.testing.clock import ManualClock
from hyperinfer.testing.gateway import FakeGateway
from hyperinfer.workers.gateway.balance import Balance
from hyperinfer.workers.gateway.fleet import Offer, Worker


def model(name: str = "m", *, state: str = "ready", slots: int = 4, busy: int = 0) -> ModelStatus:
    return ModelStatus(name=name, backend="fake", state=state, slots=slots, busy=busy, queued=0)


class FakeFleet:
    """A fleet that has what the test puts into it."""

    def __init__(self) -> None:
        self.workers: list[Worker] = []
        self.came = asyncio.Event()

    def add(self, *models: ModelStatus, draining: bool = False) -> Worker:
        worker = Worker(bytes([len(self.workers)]) * 32, name="w", caller=FakeGateway(), now=0.0)
        worker.report(WorkerStatus(models=models, draining=draining))
        self.workers.append(worker)
        self.came.set()
        self.came = asyncio.Event()
        return worker

    @property
    def offers(self) -> dict[str, list[Offer]]:
        names = {name for worker in self.workers for name in worker.offers}
        return {name: [w.offers[name] for w in self.workers if name in w.offers] for name in names}

    @property
    def any_live(self) -> bool:
        return any(worker.live for worker in self.workers)

    async def changed(self) -> None:
        await self.came.wait()


class Scene:
    def __init__(self, *, default_model: str = "", wait_s: float = 0.02) -> None:
        self.fleet = FakeFleet()
        self.clock = ManualClock()
        self.balance = Balance(
            self.fleet, clock=self.clock, default_model=default_model, wait_s=wait_s, chance=Random(1)
        )


async def test_only_what_is_ready_is_chosen() -> None:
    scene = Scene()
    scene.fleet.add(model(state="loading"))
    scene.fleet.add(model(), draining=True)
    lost = scene.fleet.add(model())
    lost.live = False
    good = scene.fleet.add(model())
    for _ in range(20):
        assert (await scene.balance.choose("m")).worker is good


async def test_those_that_failed_are_taken_again_only_if_there_is_no_other() -> None:
    scene = Scene()
    one, other = scene.fleet.add(model()).offers["m"], scene.fleet.add(model()).offers["m"]
    assert await scene.balance.choose("m", without=[one]) is other
    assert scene.balance.choose_now("m", without=[one, other]) is None
    assert await scene.balance.choose("m", without=[one, other]) in (one, other)


async def test_a_broken_offer_is_left_alone_and_then_probed_once() -> None:
    scene = Scene()
    offer = scene.fleet.add(model()).offers["m"]
    for _ in range(FAILURES):
        offer.breaker.failed(scene.clock.monotonic())
    with pytest.raises(Unavailable, match="failing") as refused:
        await scene.balance.choose("m")
    assert refused.value.details["retry_after_s"] == 1.0
    scene.clock.advance(1.0)
    assert await scene.balance.choose("m") is offer
    with scene.balance.taking(offer):
        assert offer.load_estimate.own == 1
        assert scene.balance.choose_now("m") is None
    assert offer.load_estimate.own == 0


async def test_the_default_model_is_the_one_with_the_most_slots() -> None:
    scene = Scene()
    assert scene.balance.default_model is None
    scene.fleet.add(model("small", slots=2), model("away", state="away", slots=99))
    scene.fleet.add(model("large", slots=2))
    scene.fleet.add(model("large", slots=1))
    assert (await scene.balance.choose("")).status.name == "large"
    assert Scene(default_model="mine").balance.default_model == "mine"


async def test_what_nobody_has_is_refused_at_once_naming_what_there_is() -> None:
    scene = Scene(wait_s=60)
    scene.fleet.add(model("b"), model("a"))
    async with asyncio.timeout(1):
        with pytest.raises(ModelNotFound, match=r"'x'.*a, b\."):
            await scene.balance.choose("x")


async def test_a_long_list_of_models_is_cut_short() -> None:
    scene = Scene()
    scene.fleet.add(*(model(f"model-{n:03}") for n in range(100)))
    with pytest.raises(ModelNotFound, match=r"model-019, …\.") as refused:
        await scene.balance.choose("x")
    assert len(refused.value.message) < 500


async def test_a_worker_that_comes_in_time_is_taken() -> None:
    scene = Scene(wait_s=10)
    waiting = asyncio.create_task(scene.balance.choose("m"))
    await asyncio.sleep(0)
    worker = scene.fleet.add(model())
    assert (await waiting).worker is worker


@pytest.mark.parametrize(
    ("models", "words"),
    [
        ((), "No inference worker"),
        ((model(state="loading"),), "being loaded"),
        ((model(state="away"),), "connected and"),
    ],
)
async def test_what_is_missing_is_said(models: tuple[ModelStatus, ...], words: str) -> None:
    scene = Scene()
    if models:
        scene.fleet.add(*models)
    with pytest.raises(Unavailable, match=words) as refused:
        await scene.balance.choose("m")
    assert refused.value.details["retry_after_s"] > 0
