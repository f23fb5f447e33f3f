"""One user sends 200 requests, another one 5: the second waits at most twice what it would alone, plus one generation.

Exact: the clock is turned by hand, and every generation takes one second of it.
"""

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from hyperinfer.contracts.inference import Priority, ProcessRequest
from hyperinfer.contracts.method import NO_META
from hyperinfer.errors import Overloaded
from hyperinfer.kernel.calls import Call
from hyperinfer.testing.clock import ManualClock
from hyperinfer.workers.inference.backends.echo.backend import Echo
from hyperinfer.workers.inference.backends.echo.settings import EchoSettings
from hyperinfer.workers.inference.cache import in_memory
from hyperinfer.workers.inference.config import InferenceSettings
from hyperinfer.workers.inference.meters import Meters
from hyperinfer.workers.inference.service import InferenceService

GENERATION_S = 1.0
TICK_S = 0.25
MANY, FEW = 200, 5


class House:
    """A worker with an echo model, and when each request got its slot and its answer, by user."""

    def __init__(self, slots: int, *, queue: int = 256) -> None:
        self.clock = ManualClock()
        self.registry = registry = CollectorRegistry()
        settings = InferenceSettings(queue=queue, queue_wait_s=3600)
        self.service = InferenceService(
            settings,
            clock=self.clock,
            meters=Meters(registry, self.clock),
            cache=in_memory(settings.cache, clock=self.clock, registry=registry),
        )
        echo = EchoSettings(slots=slots, first_token_s=GENERATION_S)
        self.service.add(Echo(echo, self.clock, self.service.refresh))
        self.waited_s: dict[str, list[float]] = {}
        self.took_s: dict[str, list[float]] = {}
        self.refused: dict[str, int] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def ask(self, user: str, count: int, priority: Priority = "interactive") -> None:
        self._tasks += [asyncio.create_task(self._one(user, priority)) for _ in range(count)]
        await self._settle()

    async def until(self, user: str, count: int) -> None:
        while len(self.took_s.get(user, ())) + self.refused.get(user, 0) < count:
            self.clock.advance(TICK_S)
            await self._settle()

    async def pass_s(self, seconds: float) -> None:
        for _ in range(round(seconds / TICK_S)):
            self.clock.advance(TICK_S)
            await self._settle()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def count(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"ai_platform_inference_{name}", labels) or 0.0

    async def _one(self, user: str, priority: Priority) -> None:
        call = Call(caller=b"", roles=frozenset(), meta=NO_META, deadline=float("inf"))
        began = self.clock.monotonic()
        request = ProcessRequest(prompt="Hi.", fair_key=user, priority=priority)
        try:
            processed = await self.service.process(request, call)
        except Overloaded:
            self.refused[user] = self.refused.get(user, 0) + 1
            return
        self.waited_s.setdefault(user, []).append(processed.queued_s)
        self.took_s.setdefault(user, []).append(self.clock.monotonic() - began)

    async def _settle(self) -> None:
        for _ in range(30):
            await asyncio.sleep(0)


async def few(slots: int, *, others: int, queue: int = 256, later_s: float = 0.0) -> House:
    """The second user's requests, at once, so long after those of the first."""
    house = House(slots, queue=queue)
    if others:
        await house.ask("first", others)
        await house.pass_s(later_s)
    await house.ask("second", FEW)
    await house.until("second", FEW)
    await house.close()
    return house


@pytest.mark.parametrize("later_s", [0.0, 0.25, 0.75, 7.5])
@pytest.mark.parametrize("slots", [1, 2, 3, 4, 5, 8])
async def test_a_burst_of_another_user_at_most_doubles_the_time(slots: int, later_s: float) -> None:
    alone = await few(slots, others=0)
    beside = await few(slots, others=MANY, later_s=later_s)
    assert max(beside.took_s["second"]) <= 2 * max(alone.took_s["second"]) + GENERATION_S
    assert not beside.refused


@pytest.mark.parametrize("later_s", [0.0, 0.25, 0.75])
async def test_with_one_slot_the_wait_for_it_is_at_most_doubled_too(later_s: float) -> None:
    alone = await few(1, others=0)
    beside = await few(1, others=MANY, later_s=later_s)
    assert max(beside.waited_s["second"]) <= 2 * max(alone.waited_s["second"]) + GENERATION_S


@pytest.mark.parametrize("slots", [1, 4])
async def test_a_queue_that_one_user_has_filled_has_places_for_another(slots: int) -> None:
    alone = await few(slots, others=0)
    beside = await few(slots, others=MANY, queue=16)
    assert max(beside.took_s["second"]) <= 2 * max(alone.took_s["second"]) + GENERATION_S
    assert not beside.refused.get("second")
    assert beside.refused["first"] == MANY - slots - 16 + FEW
    assert beside.count("refused_total", model="echo", reason="full") == MANY - slots - 16
    assert beside.count("refused_total", model="echo", reason="displaced") == FEW
    assert beside.count("queue_seconds_count", model="echo") >= FEW


async def test_batch_requests_wait_for_people_but_not_for_ever() -> None:
    house = House(1)
    await house.ask("someone", 1)
    await house.ask("nightly", 3, "batch")
    await house.ask("first", 40)
    await house.until("nightly", 3)
    assert house.waited_s["nightly"] == [8, 16, 24]
    await house.close()


async def test_thirty_users_are_served_alike() -> None:
    house = House(2)
    for number in range(30):
        await house.ask(f"user{number}", 1 + number % 7)
    await house.pass_s(17)
    assert all(1 <= len(house.took_s[f"user{number}"]) <= 2 for number in range(30))
    await house.close()
