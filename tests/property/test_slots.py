"""Slots under requests that come, end, are cancelled, run out of time or are refused: none is lost, none is given twice."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hyperinfer.contracts.inference import Priority
from hyperinfer.errors import HyperinferError, Unavailable
from hyperinfer.testing.clock import ManualClock
from hyperinfer.workers.inference.slots import Slots

users = st.sampled_from("abc")
priorities = st.sampled_from(("interactive", "batch"))


class Asking:
    """One request: it holds its slot until it is let go."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.go = asyncio.Event()
        self.began_at: float | None = None
        self.ended = False
        self.task: asyncio.Task[None] | None = None

    @property
    def is_running(self) -> bool:
        return self.began_at is not None and not self.ended


class Admitting(RuleBasedStateMachine):
    """The event loop runs until nothing moves any more after each step, unless two things shall happen in one turn of it."""

    @initialize(limit=st.integers(1, 4), queue=st.integers(0, 6))
    def begin(self, limit: int, queue: int) -> None:
        self.loop = asyncio.new_event_loop()
        self.clock = ManualClock()
        self.limit = limit
        self.queue = queue
        self.asked: list[Asking] = []
        self.slots = Slots(limit, queue_limit=queue, wait_s=3600, clock=self.clock, changed=lambda: None)

    def teardown(self) -> None:
        if not hasattr(self, "loop"):
            return
        for asking in self.asked:
            asking.go.set()
        self.settle()
        assert (self.slots.busy, self.slots.queued) == (0, 0), "every slot is free in the end"
        assert all(asking.task and asking.task.done() for asking in self.asked)
        self.loop.close()

    @rule(user=users, priority=priorities, left_s=st.sampled_from((5.0, 50.0, 1e6)), settles=st.booleans())
    def come(self, user: str, priority: Priority, left_s: float, *, settles: bool) -> None:
        asking = Asking(self.clock.monotonic() + left_s)
        asking.task = self.loop.create_task(self.ask(asking, user, priority))
        self.asked.append(asking)
        self.maybe_settle(settles=settles)

    @precondition(lambda self: any(asking.is_running for asking in self.asked))
    @rule(data=st.data(), settles=st.booleans())
    def end(self, data: st.DataObject, *, settles: bool) -> None:
        data.draw(st.sampled_from([asking for asking in self.asked if asking.is_running])).go.set()
        self.maybe_settle(settles=settles)

    @precondition(lambda self: any(asking.task and not asking.task.done() for asking in self.asked))
    @rule(data=st.data(), settles=st.booleans())
    def cancel(self, data: st.DataObject, *, settles: bool) -> None:
        asking = data.draw(st.sampled_from([one for one in self.asked if one.task and not one.task.done()]))
        assert asking.task
        asking.task.cancel()
        self.maybe_settle(settles=settles)

    @rule(turns=st.integers(1, 3))
    def run_a_little(self, turns: int) -> None:
        for _ in range(turns):
            self.run(asyncio.sleep(0))

    @rule(seconds=st.sampled_from((0.1, 4.0, 30.0)))
    def time_passes(self, seconds: float) -> None:
        self.settle()  # a turn of the loop lies between being given a slot and knowing of it, but no time
        self.clock.advance(seconds)

    @rule(limit=st.integers(1, 4))
    def resize(self, limit: int) -> None:
        async def change() -> None:
            self.slots.resize(limit)

        self.limit = limit
        self.run(change())

    @rule(settles=st.booleans())
    def refuse(self, *, settles: bool) -> None:
        self.slots.refuse_waiting(Unavailable("It has gone."))
        self.maybe_settle(settles=settles)

    @invariant()
    def none_is_lost_or_doubled(self) -> None:
        if not hasattr(self, "loop"):
            return
        assert self.slots.queued <= self.queue
        assert sum(asking.is_running for asking in self.asked) <= self.slots.busy
        assert self.slots.busy >= self.limit or not self.slots.queued, "nobody waits while a slot is free"
        for asking in self.asked:
            assert asking.began_at is None or asking.began_at < asking.deadline, "nothing begins after its deadline"

    async def ask(self, asking: Asking, user: str, priority: Priority) -> None:
        try:
            async with self.slots.take(user, priority=priority, deadline=asking.deadline):
                asking.began_at = self.clock.monotonic()
                await asking.go.wait()
        except HyperinferError:
            return
        finally:
            asking.ended = True

    def maybe_settle(self, *, settles: bool) -> None:
        if settles:
            self.settle()
            running = sum(asking.is_running for asking in self.asked)
            assert running == self.slots.busy

    def settle(self) -> None:
        for _ in range(20 + 4 * len(self.asked)):
            self.run(asyncio.sleep(0))

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        self.loop.run_until_complete(work)


TestAdmitting = Admitting.TestCase
