"""Admission to a model: so many requests at once, a bounded number waiting in fair order, the rest refused at once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Literal

from hyperinfer.contracts.inference import Priority
from hyperinfer.errors import DeadlineExceeded, HyperinferError, Overloaded
from hyperinfer.facilities import tracing
from hyperinfer.facilities.clock import Clock
from hyperinfer.workers.inference.fair_queue import FairQueue, Full

LEARNING = 0.2
"""How much one request changes the average duration."""
FIRST_GUESS_S = 2.0
LONGEST_RETRY_S = 60.0
CLEARLY = 2.0
"""A request is too late if it would be even with every other one taking that many times less than they usually do."""
NEVER = float("inf")

Refusal = Literal["full", "displaced", "too_late", "waited", "gone"]
"""Why a request did not get a slot: no place in the queue, or one that another user got; its deadline will have passed,
or has; none was free in time; its model has gone."""


class Turn:
    """Somebody's place in the queue: ends with a slot (`None`) or with why there is none."""

    __slots__ = ("answer", "deadline", "priority", "user")

    def __init__(self, user: str, priority: Priority, deadline: float) -> None:
        self.user = user
        self.priority = priority
        self.deadline = deadline
        self.answer: asyncio.Future[HyperinferError | None] = asyncio.get_running_loop().create_future()

    def end(self, error: HyperinferError | None) -> bool:
        """Tell who waits; says whether somebody still does."""
        if self.answer.done():
            return False
        self.answer.set_result(error)
        return True


class Slots:
    """The slots of one model.

    `changed` is called whenever a request comes, goes or begins to wait, `waited` with how long each slot was waited for (s),
    and `refused` with why one was not given.
    """

    def __init__(
        self,
        limit: int,
        *,
        queue_limit: int,
        wait_s: float,
        clock: Clock,
        changed: Callable[[], None],
        waited: Callable[[float], None] = lambda _: None,
        refused: Callable[[Refusal], None] = lambda _: None,
    ) -> None:
        self._limit = limit
        self._wait_s = wait_s
        self._clock = clock
        self._changed = changed
        self._waited = waited
        self._refused = refused
        self._busy = 0
        self._queue: FairQueue[Turn] = FairQueue(queue_limit)
        self._average_s: float | None = None

    @property
    def busy(self) -> int:
        """Slots taken."""
        return self._busy

    @property
    def queued(self) -> int:
        """Requests that wait for a slot."""
        return len(self._queue)

    @property
    def queue_limit(self) -> int:
        """How many may wait."""
        return self._queue.limit

    def resize(self, limit: int) -> None:
        """There are so many slots from now on; of those that are too many now, none is given again."""
        self._limit = limit
        while self._queue and self._busy < limit:
            self._busy += 1
            self._hand_over()

    def refuse_waiting(self, error: HyperinferError) -> None:
        """Refuse everybody who waits; who has a slot keeps it."""
        while self._queue:
            if self._queue.pop().end(error):
                self._refused("gone")
        self._changed()

    @asynccontextmanager
    async def take(
        self, user: str, *, priority: Priority = "interactive", deadline: float = NEVER
    ) -> AsyncIterator[float]:
        """Hold a slot for the length of the block, waiting for it in turn with the other users; gives how long that took (s).

        `deadline` is on the clock's monotonic scale: no slot is given after it. Raises `Overloaded` at once if the queue is
        full or it is clear that the deadline will have passed, and later if no slot became free in time or somebody with
        fewer requests needs the place; `DeadlineExceeded` when the deadline has passed; what `refuse_waiting` was given.
        """
        arrived = self._clock.monotonic()
        if deadline <= arrived:
            self._refused("too_late")
            raise _deadline_passed()
        if self._busy < self._limit:
            self._busy += 1
            self._queue.served(user, priority)
        else:
            with tracing.span("queue"):
                await self._wait(user, priority, deadline)
        began = self._clock.monotonic()
        self._waited(began - arrived)
        self._changed()
        try:
            yield began - arrived
        finally:
            self._free()
            self._learn(self._clock.monotonic() - began)

    async def _wait(self, user: str, priority: Priority, deadline: float) -> None:
        left_s = deadline - self._clock.monotonic()
        if self._average_s is not None and self._expected_s(user, priority) > left_s * CLEARLY:
            self._refused("too_late")
            raise self._overloaded("This request's deadline would pass before its turn.", user, priority)
        turn = Turn(user, priority, deadline)
        self._join(turn)
        try:
            async with asyncio.timeout(min(left_s, self._wait_s)):
                error = await turn.answer
        except BaseException as error:
            self._give_up(turn)
            if not isinstance(error, TimeoutError):
                raise
            if left_s <= self._wait_s:
                self._refused("too_late")
                raise _deadline_passed() from error
            self._refused("waited")
            why = f"No slot of this model became free within {self._wait_s:g} s."
            raise self._overloaded(why, user, priority) from error
        if error is not None:
            raise error

    def _join(self, turn: Turn) -> None:
        try:
            lost = self._queue.push(turn.user, turn, turn.priority)
        except Full as error:
            self._refused("full")
            why = "Every slot of this model is taken and its queue is full."
            raise self._overloaded(why, turn.user, turn.priority) from error
        if lost is not None:
            why = "Somebody with fewer requests needed this one's place in the queue."
            if lost.end(self._overloaded(why, lost.user, lost.priority)):
                self._refused("displaced")
        self._changed()

    def _give_up(self, turn: Turn) -> None:
        if turn.answer.done() and not turn.answer.cancelled():
            if turn.answer.result() is None:
                self._free()  # the slot was handed over in the very turn of the loop in which we stopped waiting
        else:
            self._queue.remove(turn.user, turn, turn.priority)
            self._changed()

    def _free(self) -> None:
        """Hand the slot over to the next who waits, or leave it empty."""
        if self._busy > self._limit:
            self._busy -= 1
        else:
            self._hand_over()
        self._changed()

    def _hand_over(self) -> None:
        now = self._clock.monotonic()
        while self._queue:
            turn = self._queue.pop()
            if turn.deadline > now:
                if turn.end(None):
                    return
            elif turn.end(_deadline_passed()):
                self._refused("too_late")
        self._busy -= 1

    def _learn(self, took_s: float) -> None:
        before = took_s if self._average_s is None else self._average_s
        self._average_s = before + LEARNING * (took_s - before)

    def _expected_s(self, user: str, priority: Priority) -> float:
        """How long one who comes now will wait, about, from how long requests have taken."""
        average_s = FIRST_GUESS_S if self._average_s is None else self._average_s
        return average_s * (self._queue.ahead(user, priority) + 1) / max(1, self._limit)

    def _overloaded(self, why: str, user: str, priority: Priority) -> Overloaded:
        """With when to come again, how many wait, and which place in the queue one who came now would have."""
        return Overloaded(
            why,
            retry_after_s=round(min(LONGEST_RETRY_S, max(1.0, self._expected_s(user, priority))), 1),
            queued=self.queued,
            place=self._queue.ahead(user, priority) + 1,
        )


def _deadline_passed() -> DeadlineExceeded:
    return DeadlineExceeded("The request's deadline passed before a slot of this model became free.")
