"""Background tasks that live exactly as long as a block, and whose failure ends it."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any


@asynccontextmanager
async def background(work: Coroutine[Any, Any, None], *, name: str) -> AsyncIterator[asyncio.Task[None]]:
    """Run a coroutine beside the block; it is cancelled when the block ends, and cancels the block if it fails."""
    with unwrapped():
        async with asyncio.TaskGroup() as group:
            task = group.create_task(work, name=name)
            try:
                yield task
            finally:
                task.cancel()


@contextmanager
def unwrapped() -> Iterator[None]:
    """Raise the one error of a group as itself: whoever handles it need not know that tasks were at work.

    A task group that is ending because of an error forgets that its own task is being cancelled meanwhile (Python before
    3.13): here the cancellation wins.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    try:
        yield
    except BaseExceptionGroup as group:
        if task and task.cancelling() > before:
            raise asyncio.CancelledError from group
        if len(group.exceptions) == 1:
            raise group.exceptions[0] from group.exceptions[0].__cause__
        raise
