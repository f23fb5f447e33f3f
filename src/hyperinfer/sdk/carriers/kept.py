"""A context manager kept open by a task of its own, so that one task may open it and another close it."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """What a context manager gives, for as long as wanted. A task group, say, must be left by the task that entered it."""

    def __init__(self, make: Callable[[], AbstractAsyncContextManager[T]], *, name: str) -> None:
        self._make = make
        self._name = name
        self._task: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()

    async def open(self) -> T:
        """Enter it. Raises what entering raises; cancelled, it is left again."""
        given: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        task = self._task = asyncio.create_task(self._keep(given), name=self._name)
        try:
            await asyncio.wait((given, task), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait((task,))
            raise
        if not given.done():
            await task  # raises: nothing else ends it before it has given
        return given.result()

    async def close(self) -> None:
        """Leave it. Raises what leaving raises."""
        if self._task is not None:
            self._stop.set()
            await self._task

    async def _keep(self, given: "asyncio.Future[T]") -> None:
        async with self._make() as value:
            given.set_result(value)
            await self._stop.wait()
