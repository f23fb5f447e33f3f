"""Admission to a model: so many requests at once, a bounded number waiting in fair order, the rest refused at once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from hyperinfer.errors import Overloaded
from hyperinfer.facilities.clock import Clock
from hyperinfer.workers.inference.fair_queue import FairQueue

LEARNING = 0.2
"""How much one request changes the average duration."""
FIRST_GUESS_S = 2.0
LONGEST_RETRY_S = 60.0


class Slots:
    """The slots of one model. `changed` is called whenever a request comes, goes or begins to wait."""

    def __init__(
        self, limit: int, *, queue_limit: int, wait_s: float, clock: Clock, changed: Callable[[], None]
    ) -> None:
        self._limit = limit
        self._queue_limit = queue_limit
        self._wait_s = wait_s
        self._clock = clock
        self._changed = changed
        self._busy = 0
        self._waiting: FairQueue[asyncio.Future[None]] = FairQueue()
        self._average_s: float | None = None

    @property
    def busy(self) -> int:
        """Slots taken."""
        return self._busy

    @property
    def queued(self) -> int:
        """Requests that wait for a slot."""
        return len(self._waiting)

    @property
    def retry_after_s(self) -> float:
        """After how long a slot may be free for one who comes now, from how long requests have taken."""
        average_s = FIRST_GUESS_S if self._average_s is None else self._average_s
        return min(LONGEST_RETRY_S, max(1.0, average_s * (self.queued + 1) / self._limit))

    @asynccontextmanager
    async def take(self, user: str) -> AsyncIterator[None]:
        """Hold a slot for the length of the block, waiting for it in turn with the other users.

        Raises `Overloaded` at once if the queue is full, and later if no slot became free in time.
        """
        if self._busy < self._limit:
            self._busy += 1
        else:
            await self._wait(user)
        began = self._clock.monotonic()
        self._changed()
        try:
            yield
        finally:
            self._free()
            self._learn(self._clock.monotonic() - began)

    async def _wait(self, user: str) -> None:
        if self.queued >= self._queue_limit:
            raise Overloaded("Every slot of this model is taken and its queue is full.", **self._details())
        turn = asyncio.get_running_loop().create_future()
        self._waiting.push(user, turn)
        self._changed()
        try:
            async with asyncio.timeout(self._wait_s):
                await turn
        except BaseException as error:
            self._give_up(user, turn)
            if isinstance(error, TimeoutError):
                raise Overloaded(
                    f"No slot of this model became free within {self._wait_s:g} s.", **self._details()
                ) from error
            raise

    def _give_up(self, user: str, turn: asyncio.Future[None]) -> None:
        if turn.done() and not turn.cancelled():
            self._free()  # the slot was handed over in the very turn of the loop in which we stopped waiting
        else:
            self._waiting.remove(user, turn)
            self._changed()

    def _free(self) -> None:
        """Hand the slot over to the next who waits, or leave it empty."""
        while self._waiting:
            turn = self._waiting.pop()
            if not turn.done():
                turn.set_result(None)
                break
        else:
            self._busy -= 1
        self._changed()

    def _learn(self, took_s: float) -> None:
        before = took_s if self._average_s is None else self._average_s
        self._average_s = before + LEARNING * (took_s - before)

    def _details(self) -> dict[str, float]:
        return {"retry_after_s": round(self.retry_after_s, 1), "queued": self.queued}
