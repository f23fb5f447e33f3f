"""Slots are never more than there are, never lost, and given in fair order and in time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from hyperinfer.contracts.inference import Priority
from hyperinfer.errors import DeadlineExceeded, Overloaded, Unavailable
from hyperinfer.testing.clock import ManualClock
from hyperinfer.workers.inference.slots import Slots


class House:
    """Slots with a clock whose hands the test turns, and what they have told."""

    def __init__(self, limit: int, *, queue: int = 10, wait_s: float = 30.0) -> None:
        self.clock = ManualClock()
        self.waited: list[float] = []
        self.refused: list[str] = []
        self.slots = Slots(
            limit,
            queue_limit=queue,
            wait_s=wait_s,
            clock=self.clock,
            changed=lambda: None,
            waited=self.waited.append,
            refused=self.refused.append,
        )

    @property
    def counts(self) -> tuple[int, int]:
        return self.slots.busy, self.slots.queued

    async def hold(self, user: str = "user", **how: Any) -> float:
        async with self.slots.take(user, **how) as waited_s:
            return waited_s

    async def takes(self, seconds: float) -> None:
        """One request that takes so long."""
        async with self.slots.take("somebody"):
            self.clock.advance(seconds)


@asynccontextmanager
async def full(limit: int, *, queue: int = 10, wait_s: float = 30.0) -> AsyncIterator[tuple[House, AsyncExitStack]]:
    """Slots that are all taken; closing the stack frees them."""
    house = House(limit, queue=queue, wait_s=wait_s)
    async with AsyncExitStack() as held:
        for _ in range(limit):
            await held.enter_async_context(house.slots.take("holder"))
        yield house, held


async def turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_free_slot_is_taken_at_once_and_given_back() -> None:
    house = House(2)
    async with house.slots.take("a") as waited_s, house.slots.take("a"):
        assert house.counts == (2, 0)
        assert waited_s == 0
    assert house.counts == (0, 0)
    assert house.waited == [0, 0]


async def test_who_waits_is_served_in_turn_with_the_other_users() -> None:
    order: list[str] = []

    async def ask(name: str, priority: Priority = "interactive") -> None:
        async with house.slots.take(name[0], priority=priority):
            order.append(name)

    async with asyncio.TaskGroup() as group, full(1) as (house, _):
        group.create_task(ask("x1", "batch"))
        for name in ("a1", "a2", "a3", "b1"):
            group.create_task(ask(name))
            await turns()
        assert house.slots.queued == 5
    assert order == ["a1", "b1", "a2", "a3", "x1"]
    assert house.counts == (0, 0)


async def test_who_waited_is_told_for_how_long() -> None:
    async with asyncio.TaskGroup() as group, full(1) as (house, held):
        waiting = group.create_task(house.hold())
        await turns()
        house.clock.advance(3)
        await held.aclose()
        assert await waiting == 3
    assert house.waited == [0, 3]


async def test_a_full_queue_refuses_at_once_and_says_when_to_come_again() -> None:
    async with asyncio.TaskGroup() as group, full(1, queue=1) as (house, _):
        waiting = group.create_task(house.hold())
        await turns()
        with pytest.raises(Overloaded) as refused:
            await house.hold()
        assert refused.value.retryable
        assert refused.value.details == {"retry_after_s": 4.0, "queued": 1, "place": 2}
        waiting.cancel()
    assert house.refused == ["full"]


async def test_without_a_queue_everything_beyond_the_slots_is_refused() -> None:
    async with full(1, queue=0) as (house, _):
        with pytest.raises(Overloaded):
            await house.hold()


async def test_who_has_many_waiting_loses_a_place_to_who_has_none() -> None:
    async with full(1, queue=2) as (house, held):
        mine = [asyncio.create_task(house.hold("a")) for _ in range(2)]
        await turns()
        theirs = asyncio.create_task(house.hold("b"))
        await turns()
        with pytest.raises(Overloaded, match="fewer requests") as refused:
            await mine[1]
        assert refused.value.details["retry_after_s"] >= 1
        assert (house.counts, house.refused) == ((1, 2), ["displaced"])
        await held.aclose()
        await asyncio.gather(mine[0], theirs)
    assert house.counts == (0, 0)


async def test_waiting_ends_when_it_takes_too_long() -> None:
    async with full(1, wait_s=0.01) as (house, _):
        with pytest.raises(Overloaded, match=r"within 0\.01 s"):
            await house.hold()
        assert (house.counts, house.refused) == ((1, 0), ["waited"])


async def test_waiting_ends_with_the_request_s_own_deadline() -> None:
    async with full(1) as (house, _):
        with pytest.raises(DeadlineExceeded):
            await house.hold(deadline=0.01)
        assert (house.counts, house.refused) == ((1, 0), ["too_late"])


async def test_no_slot_is_given_after_the_deadline() -> None:
    async with full(1) as (house, held):
        late = asyncio.create_task(house.hold(deadline=5))
        in_time = asyncio.create_task(house.hold(deadline=60))
        await turns()
        house.clock.advance(5)
        await held.aclose()
        await in_time
        with pytest.raises(DeadlineExceeded):
            await late
        with pytest.raises(DeadlineExceeded):
            await house.hold(deadline=5)
    assert (house.counts, house.refused) == ((0, 0), ["too_late", "too_late"])


async def test_who_would_clearly_be_too_late_is_refused_at_once() -> None:
    house = House(2)
    await house.takes(20)
    async with house.slots.take("a"), house.slots.take("a"), asyncio.TaskGroup() as group:
        now = house.clock.monotonic()
        with pytest.raises(Overloaded, match="deadline") as refused:
            await house.hold(deadline=now + 4)
        assert refused.value.details["retry_after_s"] == 10
        waiting = group.create_task(house.hold(deadline=now + 6))
        await turns()
        assert house.counts == (2, 1), "this one may just be in time"
        waiting.cancel()


async def test_who_gives_up_waiting_leaves_no_trace() -> None:
    async with full(1) as (house, held):
        waiting = asyncio.create_task(house.hold())
        await turns()
        waiting.cancel()
        await asyncio.wait([waiting])
        assert house.counts == (1, 0)
        await held.aclose()
    assert house.slots.busy == 0


async def test_a_slot_given_to_one_who_leaves_in_that_moment_goes_to_the_next() -> None:
    async with full(1) as (house, held):
        leaving, staying = (asyncio.create_task(house.hold()) for _ in range(2))
        await turns()
        await held.aclose()  # the slot is handed to the first, which has not run yet
        leaving.cancel()
        async with asyncio.timeout(5):
            await asyncio.wait([leaving, staying])
        assert leaving.cancelled()
        assert not staying.cancelled()
    assert house.counts == (0, 0)


@pytest.mark.parametrize("end", [lambda house: house.slots.refuse_waiting(Unavailable("Gone.")), lambda house: None])
async def test_who_is_refused_and_leaves_in_that_moment_frees_nothing(end: Callable[[House], None]) -> None:
    async with full(1) as (house, _):
        leaving = asyncio.create_task(house.hold())
        await turns()
        end(house)
        leaving.cancel()
        await asyncio.wait([leaving])
        assert house.counts == (1, 0)


async def test_who_waits_for_what_has_gone_is_refused() -> None:
    async with full(1) as (house, held):
        waiting = [asyncio.create_task(house.hold(user)) for user in "aab"]
        await turns()
        house.slots.refuse_waiting(Unavailable("It has gone."))
        for one in waiting:
            with pytest.raises(Unavailable, match="gone"):
                await one
        assert (house.counts, house.refused) == ((1, 0), ["gone"] * 3)
        await held.aclose()
        await house.hold()


async def test_slots_become_more_and_fewer_under_those_who_wait() -> None:
    async with full(2) as (house, held), AsyncExitStack() as later:
        async with asyncio.TaskGroup() as group:
            for _ in range(2):
                group.create_task(later.enter_async_context(house.slots.take("b")))
            await turns()
            house.slots.resize(4)
        assert house.counts == (4, 0)
        house.slots.resize(1)
        waiting = asyncio.create_task(house.hold())
        await held.aclose()
        await turns()
        assert house.counts == (2, 1), "two are still more than one"
        await later.aclose()
        await waiting
    assert house.counts == (0, 0)


@pytest.mark.parametrize(("took_s", "retry_after_s"), [((30,), 15.0), ((30, 1), 12.1), ((0.1,), 1.0), ((900,), 60.0)])
async def test_when_to_come_again_is_learned_from_how_long_requests_take(
    took_s: tuple[float, ...], retry_after_s: float
) -> None:
    house = House(2, queue=0)
    for seconds in took_s:
        await house.takes(seconds)
    async with house.slots.take("a"), house.slots.take("a"):
        with pytest.raises(Overloaded) as refused:
            await house.hold()
    assert refused.value.details["retry_after_s"] == retry_after_s
