"""Cancelling work exactly where it waits: at its first wait, at its second, and so on, until it has none left."""

import asyncio
from collections.abc import Coroutine, Generator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Ended:
    """How interrupted work ended; `reached` is whether it came so far that it was interrupted."""

    task: "asyncio.Task[Any]"
    reached: bool


async def interrupt(work: Coroutine[Any, Any, Any], *, first: int, times: int = 1, late: bool = False) -> Ended:
    """Do the work in a task of its own, which is cancelled at its wait number `first`, counted from one.

    It is cancelled at so many waits in a row (`times`): who is cancelled and cleans up is cancelled there too. `late` cancels
    when what was awaited is there already, and is about to be handed over.
    """
    one = _Interrupted(work, range(first, first + times), late)
    task = asyncio.create_task(_awaited(one))
    await asyncio.wait([task])
    return Ended(task, one.waits >= first)


class _Interrupted:
    def __init__(self, work: Coroutine[Any, Any, Any], at: range, late: bool) -> None:
        self._work = work
        self._at = at
        self._late = late
        self.waits = 0

    def __await__(self) -> Generator[Any, None, Any]:
        task = asyncio.current_task()
        assert task is not None
        error: BaseException | None = None
        while True:
            try:
                awaited = self._work.send(None) if error is None else self._work.throw(error)
            except StopIteration as end:
                return end.value
            self.waits += 1
            if self.waits in self._at:
                if self._late and awaited is not None:
                    awaited.add_done_callback(lambda _: task.cancel())
                else:
                    task.cancel()
            error = None
            try:
                yield awaited
            except BaseException as raised:  # noqa: BLE001 - whatever it is, it is the work's to handle
                error = raised


async def _awaited(work: _Interrupted) -> Any:
    return await work
