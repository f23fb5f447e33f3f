"""Lines as they are written, for somebody who watches; one who is slow loses some, and is told how many."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

MAX_LINES = 2000
"""Lines that wait for one who watches."""

Wants = Callable[[Mapping[str, Any]], bool]


class Tail:
    """Takes events from any thread, and gives their lines to one task. Made in that task's loop."""

    def __init__(self, wants: Wants, encode: Callable[[Mapping[str, Any]], bytes]) -> None:
        self._wants = wants
        self._encode = encode
        self._loop = asyncio.get_running_loop()
        self._some = asyncio.Event()
        self._lines: deque[bytes] = deque()
        self._lost = 0
        self.ended = False

    def end(self) -> None:
        """There will be no more for who watches; from that task's loop."""
        self.ended = True
        self._some.set()

    def take(self, event: Mapping[str, Any]) -> None:
        """An event has been logged. Never waits."""
        if not self._wants(event):
            return
        if len(self._lines) >= MAX_LINES:
            self._lost += 1
        else:
            self._lines.append(self._encode(event))
        if not self._some.is_set() and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._some.set)

    async def next(self) -> tuple[list[bytes], int]:
        """Wait for lines, or the end; gives those that have come, and how many were lost after them."""
        await self._some.wait()
        self._some.clear()
        lines = [self._lines.popleft() for _ in range(len(self._lines))]
        lost, self._lost = self._lost, 0
        return lines, lost
