"""Background tasks and cancellation."""

import asyncio

import pytest

from hyperinfer.facilities.tasks import background


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
