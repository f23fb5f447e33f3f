"""Looking for a server again and again: its models come and go, and so does it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from hyperinfer.errors import HyperinferError
from hyperinfer.facilities.clock import Clock

log = structlog.get_logger(__name__)

HURRY_S = 0.5
"""Least time between two looks, however often somebody asks for one."""


class Lookout:
    """Whether a server can be reached. `run` has it looked at every `every_s` seconds; `look` takes over what it has, and
    raises an error of ours if it cannot be reached. `changed` is called when that is otherwise than before.
    """

    def __init__(
        self,
        name: str,
        look: Callable[[], Awaitable[None]],
        *,
        clock: Clock,
        every_s: float,
        changed: Callable[[], None],
    ) -> None:
        self._name = name
        self._look = look
        self._clock = clock
        self._every_s = every_s
        self._changed = changed
        self._soon = asyncio.Event()
        self.away = "It has not been reached yet."

    def soon(self) -> None:
        """Something went wrong there: look now."""
        self._soon.set()

    async def run(self) -> None:
        """Keep looking, until cancelled."""
        while True:
            self._soon.clear()
            await self._look_once()
            await self._clock.sleep(min(HURRY_S, self._every_s))
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, self._every_s - HURRY_S)):
                    await self._soon.wait()

    async def _look_once(self) -> None:
        try:
            await self._look()
            away = ""
        except HyperinferError as error:
            away = error.message
        if away != self.away:
            if bool(away) != bool(self.away):
                log.info("backend", name=self._name, available=not away, reason=away or None)
            self.away = away
            self._changed()
