"""Background tasks, work that comes to its end, and cancellation."""

import asyncio
import gc

import pytest

from hyperinfer.facilities.tasks import Endings, background


async def forever() -> None:
    await asyncio.Event().wait()


async def test_an_error_of_the_block_comes_out_as_itself() -> None:
    with pytest.raises(KeyError):
        async with background(forever(), name="beside"):
            raise KeyError


async def test_an_error_beside_the_block_ends_it() -> None:
    async def fails() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        async with background(fails(), name="beside"):
            await forever()


async def test_cancelling_wins_over_an_error_that_comes_at_the_same_time() -> None:
    gate = asyncio.Event()

    async def lingers() -> None:
        try:
            await forever()
        finally:
            task.cancel()
            await asyncio.sleep(0)
            gate.set()

    async def work() -> None:
        while True:
            try:
                async with background(lingers(), name="beside"):
                    await asyncio.sleep(0)
                    raise KeyError
            except KeyError:
                continue

    task = asyncio.create_task(work())
    await gate.wait()
    async with asyncio.timeout(5):
        await asyncio.wait([task])
    assert task.cancelled()


async def test_work_comes_to_its_end_when_who_waits_for_it_is_cancelled() -> None:
    endings, begun, gate, ended = Endings(), asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        await gate.wait()
        ended.set()

    async def waits() -> None:
        await endings.begin(work(), name="work")

    waiting = asyncio.create_task(waits())
    await begun.wait()
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    gate.set()
    await endings.wait()
    assert ended.is_set()
    await endings.wait()


async def test_who_waits_is_told_how_work_ended() -> None:
    endings = Endings()

    async def gives(number: int) -> int:
        return 6 // number

    assert await endings.begin(gives(2), name="work") == 3
    with pytest.raises(ZeroDivisionError):
        await endings.begin(gives(0), name="work")


async def test_work_that_fails_with_nobody_waiting_is_no_failure_of_the_loop() -> None:
    endings, complaints = Endings(), list[dict[str, object]]()
    asyncio.get_running_loop().set_exception_handler(lambda _, said: complaints.append(said))

    async def fails(gate: asyncio.Event) -> None:
        await gate.wait()
        raise KeyError

    gate = asyncio.Event()
    endings.begin(fails(gate), name="work").cancel()
    await asyncio.sleep(0)
    gate.set()
    await endings.wait()
    gc.collect()
    assert complaints == []
