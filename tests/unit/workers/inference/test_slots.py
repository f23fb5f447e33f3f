"""Slots are never more than there are, never lost, and given in fair order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from hyperinfer.errors import Overloaded
from hyperinfer.testing.clock import ManualClock
from hyperinfer.workers.inference.slots import Slots


def slots(limit: int, *, queue: int = 10, wait_s: float = 30.0, clock: ManualClock | None = None) -> Slots:
    return Slots(limit, queue_limit=queue, wait_s=wait_s, clock=clock or ManualClock(), changed=lambda: None)


async def turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@asynccontextmanager
async def full(limit: int, *, queue: int = 10) -> AsyncIterator[tuple[Slots, AsyncExitStack]]:
    """Slots that are all taken; closing the stack frees them."""
    some = slots(limit, queue=queue)
    async with AsyncExitStack() as held:
        for _ in range(limit):
            await held.enter_async_context(some.take("holder"))
        yield some, held


async def test_a_free_slot_is_taken_at_once_and_given_back() -> None:
    some = slots(2)
    async with some.take("a"), some.take("a"):
        assert (some.busy, some.queued) == (2, 0)
    assert (some.busy, some.queued) == (0, 0)


async def test_who_waits_is_served_in_turn_with_the_other_users() -> None:
    order: list[str] = []

    async def ask(name: str) -> None:
        async with some.take(name[0]):
            order.append(name)

    async with asyncio.TaskGroup() as group, full(1) as (some, _):
        for name in ("a1", "a2", "a3", "b1"):
            group.create_task(ask(name))
            await turns()
        assert some.queued == 4
    assert order == ["a1", "b1", "a2", "a3"]
    assert (some.busy, some.queued) == (0, 0)


async def test_a_full_queue_refuses_at_once_and_says_when_to_come_again() -> None:
    async with asyncio.TaskGroup() as group, full(1, queue=1) as (some, _):
        waiting = group.create_task(hold(some))
        await turns()
        with pytest.raises(Overloaded) as refused:
            await hold(some)
        assert refused.value.retryable
        assert refused.value.details["retry_after_s"] >= 1
        waiting.cancel()


async def test_without_a_queue_everything_beyond_the_slots_is_refused() -> None:
    async with full(1, queue=0) as (some, _):
        with pytest.raises(Overloaded):
            await hold(some)


async def test_waiting_ends_when_it_takes_too_long() -> None:
    some = slots(1, wait_s=0.01)
    async with some.take("a"):
        with pytest.raises(Overloaded, match=r"within 0\.01 s"):
            await hold(some)
        assert (some.busy, some.queued) == (1, 0)


async def test_who_gives_up_waiting_leaves_no_trace() -> None:
    async with full(1) as (some, held):
        waiting = asyncio.create_task(hold(some))
        await turns()
        waiting.cancel()
        await asyncio.wait([waiting])
        assert (some.busy, some.queued) == (1, 0)
        await held.aclose()
        assert some.busy == 0


async def test_a_slot_given_to_one_who_leaves_in_that_moment_goes_to_the_next() -> None:
    async with full(1) as (some, held):
        leaving, staying = (asyncio.create_task(hold(some)) for _ in range(2))
        await turns()
        await held.aclose()  # the slot is handed to the first, which has not run yet
        leaving.cancel()
        async with asyncio.timeout(5):
            await asyncio.wait([leaving, staying])
        assert leaving.cancelled()
        assert not staying.cancelled()
        assert (some.busy, some.queued) == (0, 0)


async def test_how_long_to_wait_is_learned_from_how_long_requests_take() -> None:
    clock = ManualClock()
    some = slots(2, clock=clock)
    async with some.take("a"):
        clock.advance(30)
    assert some.retry_after_s == 15
    async with some.take("a"):
        clock.advance(1)
    assert 10 < some.retry_after_s < 15


async def hold(some: Slots) -> None:
    async with some.take("user"):
        pass
