"""Background tasks that live exactly as long as a block, and whose failure ends it; and work that cancelling does not stop."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


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


class Endings:
    """Work that has to come to its end even if whoever waits for it is cancelled.

    Each piece bounds how long it takes, and says itself what went wrong: there may be nobody left to be told.
    """

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def begin(self, work: Coroutine[Any, Any, T], *, name: str) -> "asyncio.Future[T]":
        """Begin a piece of work. To cancel who awaits it leaves it running."""
        task = asyncio.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return asyncio.shield(task)

    async def wait(self) -> None:
        """Wait until all that has begun is at its end, however it ends."""
        while self._running:
            await asyncio.wait(self._running)

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # asyncio takes an error that nobody has looked at for one of its own
