import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.types import Message, Receive

from hyperinfer.edge.bodies import LARGEST_AT_ONCE, Bodies
from hyperinfer.edge.request import ClientGone
from hyperinfer.errors import Overloaded, TooLarge

LIMIT = 100


def sending(*parts: bytes, then: asyncio.Event | None = None, gone: bool = False) -> Receive:
    """A client that sends these parts, and the last one not before an event, or goes before it."""
    messages: Iterator[Message] = iter(
        {"type": "http.request", "body": part, "more_body": at < len(parts)} for at, part in enumerate(parts, 1)
    )
    left = len(parts)

    async def receive() -> Message:
        nonlocal left
        left -= 1
        if left == 0 and then is not None:
            await then.wait()
        if left == 0 and gone:
            return {"type": "http.disconnect"}
        return next(messages)

    return receive


async def test_a_body_is_what_came() -> None:
    bodies = Bodies(limit_bytes=LIMIT)
    assert await bodies.read(sending(b"whole")) == b"whole"
    assert await bodies.read(sending(b"in ", b"three ", b"parts")) == b"in three parts"
    assert await bodies.read(sending(b"x" * LIMIT)) == b"x" * LIMIT


@pytest.mark.parametrize("parts", [(b"x" * 101,), (b"x" * 60, b"x" * 41), (b"x" * 101, b"")])
async def test_one_above_its_bound_is_refused(parts: tuple[bytes, ...]) -> None:
    with pytest.raises(TooLarge):
        await Bodies(limit_bytes=LIMIT).read(sending(*parts))


@pytest.mark.parametrize("end", ["whole", "gone", "too large"])
async def test_so_much_is_under_way_at_once_and_room_comes_back_however_a_body_ends(end: str) -> None:
    bodies = Bodies(limit_bytes=LIMIT)
    go_on = asyncio.Event()
    last = b"x" * 50 if end == "too large" else b""
    async with asyncio.TaskGroup() as group:

        async def slow() -> Any:
            try:
                return await bodies.read(sending(b"x" * LIMIT, last, then=go_on, gone=end == "gone"))
            except (ClientGone, TooLarge) as error:
                return error

        tasks = [group.create_task(slow()) for _ in range(LARGEST_AT_ONCE)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded) as refused:
            await bodies.read(sending(b"x", b"y"))
        assert refused.value.details["retry_after_s"] == 1
        assert await bodies.read(sending(b"at once")) == b"at once", "what comes in one piece waits for nobody"
        go_on.set()
    expected = {"whole": bytes, "gone": ClientGone, "too large": TooLarge}[end]
    assert all(isinstance(task.result(), expected) for task in tasks)
    assert await bodies.read(sending(b"x" * 60, b"x" * 40)) == b"x" * LIMIT
