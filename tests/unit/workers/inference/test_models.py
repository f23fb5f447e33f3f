"""Models as they come, change and go, and what becomes of who waits for them."""

import asyncio
from dataclasses import replace

import pytest

from hyperinfer.errors import BackendFailed, Unavailable
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.testing.clock import ManualClock
from hyperinfer.workers.inference.backends import BackendModel
from hyperinfer.workers.inference.backends.echo.backend import Echo
from hyperinfer.workers.inference.backends.echo.settings import EchoSettings
from hyperinfer.workers.inference.models import Model, Models
from hyperinfer.workers.inference.slots import Slots


class Changing(Echo):
    """A backend whose catalogue is what the test says."""

    def __init__(self, *catalogue: BackendModel) -> None:
        super().__init__(EchoSettings(), SystemClock(), lambda: None)
        self.catalogue = catalogue

    def models(self) -> tuple[BackendModel, ...]:
        return self.catalogue


class House:
    """One model with one slot, which is taken, and somebody who waits for it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.models = Models(default="", new_slots=self.new_slots, clock=self.clock)
        self.backend = Changing(offered())
        self.refresh()
        self.model = self.models.named("m")
        self.began = asyncio.Event()
        self.go_on = asyncio.Event()
        self.tasks = [asyncio.create_task(self.hold()) for _ in range(2)]

    def new_slots(self, model: str, limit: int) -> Slots:
        return Slots(limit, queue_limit=9, wait_s=30, clock=self.clock, changed=lambda: None)

    def refresh(self, *catalogue: BackendModel) -> Model | None:
        if catalogue:
            self.backend.catalogue = catalogue
        self.models.refresh([self.backend])
        return next(iter(self.models), None)

    async def hold(self) -> None:
        async with self.model.slots.take("user"):
            self.began.set()
            await self.go_on.wait()

    async def check_refused(self) -> None:
        """Who waits is sent elsewhere, who runs is let end."""
        running, waiting = self.tasks
        with pytest.raises(Unavailable) as refused:
            await waiting
        assert refused.value.retryable
        assert refused.value.details == {"model": "m", "retry_after_s": 2.0}
        assert not running.done()
        self.go_on.set()
        await running


def offered(**changes: object) -> BackendModel:
    return replace(BackendModel(name="m", state="ready", slots=1, context_tokens=8, memory_bytes=7), **changes)  # type: ignore[arg-type]


async def started() -> House:
    house = House()
    await house.began.wait()
    await asyncio.sleep(0)
    assert house.model.status().queued == 1
    return house


async def test_who_waits_for_a_model_that_is_away_is_sent_elsewhere() -> None:
    house = await started()
    assert house.refresh(offered(state="away", reason="It fell over.")) is house.model
    await house.check_refused()


async def test_who_waits_for_a_model_that_has_gone_is_sent_elsewhere() -> None:
    house = await started()
    house.refresh(offered(name="other"))
    await house.check_refused()


async def test_who_waits_for_a_model_of_which_another_backend_comes_first_is_sent_there() -> None:
    house = await started()
    house.models.refresh([Changing(offered()), house.backend])
    assert house.models.named("m") is not house.model
    await house.check_refused()


async def test_who_waits_for_a_model_that_loads_goes_on_waiting() -> None:
    house = await started()
    house.refresh(offered(state="loading"))
    assert house.model.status().queued == 1
    house.go_on.set()
    await asyncio.gather(*house.tasks)


async def test_a_model_that_gets_more_slots_stays_what_it_was() -> None:
    house = await started()
    house.model.served(3, first_token_s=1, later_s=1)
    assert house.refresh(offered(slots=2)) is house.model
    status = house.model.status()
    assert (status.slots, status.busy, status.queued, status.served, status.tokens_per_s) == (2, 2, 0, 1, 2.0)
    house.go_on.set()
    await asyncio.gather(*house.tasks)


async def test_a_model_tells_how_it_has_been() -> None:
    house = await started()
    house.go_on.set()
    await asyncio.gather(*house.tasks)
    with pytest.raises(BackendFailed), house.model.blamed():
        raise BackendFailed("It broke.")
    house.model.served(1, first_token_s=0.5, later_s=0)
    status = house.model.status()
    assert (status.errors, status.served, status.error_rate) == (1, 1, 0.333)
    assert (status.queue_limit, status.memory_bytes, status.first_token_s) == (9, 7, 0.5)
    house.clock.advance(600)
    assert house.model.status().error_rate == 0
