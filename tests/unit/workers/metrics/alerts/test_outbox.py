"""Notices that wait for one receiver: in turn, tried again for a while, never without bound."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry
from tests.unit.workers.metrics.alerts.samples import LOST, notice

from hyperinfer.errors import HyperinferError, MailRefused, Unavailable
from hyperinfer.facilities.tasks import background
from hyperinfer.testing.clock import ManualClock
from hyperinfer.workers.metrics.alerts.meters import Meters
from hyperinfer.workers.metrics.alerts.notifying.notice import Notice
from hyperinfer.workers.metrics.alerts.notifying.outbox import LONGEST_PAUSE_S, MAX_WAITING, PAUSES_S, Outbox


class Sleeps(ManualClock):
    """A clock whose sleeps are over at once, and noted."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []

    async def sleep(self, delay_s: float) -> None:
        self.slept.append(delay_s)
        self.advance(delay_s)
        await asyncio.sleep(0)


class Person:
    name = "person"

    def __init__(self, *errors: HyperinferError) -> None:
        self.errors = list(errors)
        self.told: list[str] = []
        self.attempts = 0
        self.listens = asyncio.Event()
        self.listens.set()

    async def tell(self, notice: Notice) -> None:
        self.attempts += 1
        await self.listens.wait()
        if self.errors:
            raise self.errors.pop(0)
        self.told.append(notice.id)


class Scene:
    def __init__(self, person: Person, *waiting: Notice) -> None:
        self.clock = Sleeps()
        self.registry = CollectorRegistry()
        self.changes = 0
        self.box = Outbox(person, waiting, clock=self.clock, meters=Meters(self.registry), changed=self._changed)

    def _changed(self) -> None:
        self.changes += 1

    async def emptied(self) -> None:
        async with asyncio.timeout(5), background(self.box.run(), name="box"):
            await self.box.empty()

    def counted(self, outcome: str) -> float | None:
        return self.registry.get_sample_value(
            "ai_platform_alert_notices_total", {"receiver": "person", "outcome": outcome}
        )


def numbered(number: int) -> Notice:
    return notice(LOST, id=f"n{number}")


async def test_they_are_told_in_turn() -> None:
    person = Person()
    scene = Scene(person, numbered(0))
    for number in (1, 2):
        scene.box.add(numbered(number))
    await scene.emptied()
    assert person.told == ["n0", "n1", "n2"]
    assert scene.changes == 3
    assert scene.counted("sent") == 3


async def test_one_that_may_be_tried_again_is() -> None:
    person = Person(Unavailable("No."), Unavailable("No."))
    scene = Scene(person, numbered(1))
    await scene.emptied()
    assert person.told == ["n1"]
    assert scene.clock.slept == list(PAUSES_S[:2])


@pytest.mark.parametrize(("asked_s", "slept_s"), [(40.0, 40.0), (1e9, LONGEST_PAUSE_S), (0.0, PAUSES_S[0])])
async def test_it_waits_as_it_is_told_but_not_for_ever(asked_s: float, slept_s: float) -> None:
    scene = Scene(Person(Unavailable("No.", retry_after_s=asked_s)), numbered(1))
    await scene.emptied()
    assert scene.clock.slept == [slept_s]


async def test_it_is_given_up_after_the_last_attempt() -> None:
    person = Person(*[Unavailable("No.")] * (len(PAUSES_S) + 1))
    scene = Scene(person, numbered(1), numbered(2))
    await scene.emptied()
    assert person.told == ["n2"]
    assert scene.clock.slept == list(PAUSES_S)
    assert (scene.counted("failed"), scene.counted("sent")) == (1, 1)


async def test_what_is_in_vain_is_not_tried_again() -> None:
    person = Person(MailRefused("No."))
    scene = Scene(person, numbered(1))
    await scene.emptied()
    assert (person.attempts, scene.clock.slept, scene.counted("failed")) == (1, [], 1)


async def test_what_waits_is_bounded_and_the_oldest_goes() -> None:
    person = Person()
    person.listens.clear()
    scene = Scene(person)
    async with asyncio.timeout(5), background(scene.box.run(), name="box"):
        for number in range(MAX_WAITING + 3):
            scene.box.add(numbered(number))
            await asyncio.sleep(0)
        assert len(scene.box.waiting) == MAX_WAITING
        person.listens.set()
        await scene.box.empty()
    assert person.told == ["n0", *(f"n{number}" for number in range(3, MAX_WAITING + 3))]
    assert scene.counted("dropped") == 3


async def test_what_waits_can_be_kept() -> None:
    scene = Scene(Person(), numbered(1), numbered(2))
    assert [one.id for one in scene.box.waiting] == ["n1", "n2"]
