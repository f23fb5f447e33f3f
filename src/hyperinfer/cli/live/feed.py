"""What is watched, as it comes: from one connection after the other, for as long as somebody looks."""

from collections.abc import Callable
from contextlib import aclosing
from datetime import timedelta
from typing import TYPE_CHECKING

from hyperinfer.cli.live.sources import Source
from hyperinfer.cli.live.watched import Watched
from hyperinfer.cli.manner import sentence
from hyperinfer.errors import HyperinferError
from hyperinfer.facilities.clock import Clock, SystemClock

if TYPE_CHECKING:
    from hyperinfer.sdk import SystemHealth

PAUSES_S = (1.0, 2.0, 5.0)
"""Pauses before each new try; the last one again and again."""
PAST = timedelta(minutes=15)
"""What of the time before is shown at once."""


class Feed:
    """The health of a swarm from one source. `told` is called whenever what is watched has changed."""

    def __init__(self, source: Source, watched: Watched, *, clock: Clock | None = None) -> None:
        self._source = source
        self._watched = watched
        self._clock = clock or SystemClock()
        self.told: Callable[[], None] = lambda: None

    async def first(self) -> "SystemHealth":
        """What there is now, before anything is drawn. Raises as the client does: who may not look is told so at once."""
        health = await self._source.now()
        self._watched.gateway = self._source.place
        gateways = frozenset(worker.key for worker in health.workers if worker.wtype == "gateway")
        self._watched.remember(await self._source.past(self._clock.now() - PAST), gateways)
        self._watched.take(health)
        return health

    async def run(self) -> None:
        """Watch until cancelled. A connection that is lost is said to be, and made again; what cannot be mended by trying
        again is raised."""
        tried = 0
        while True:
            try:
                async with aclosing(self._source.watching(say=_nothing)) as healths:
                    async for health in healths:
                        tried = 0
                        self._watched.take(health)
                        self.told()
                continue  # an hour is over, and the next begins
            except HyperinferError as error:
                if not error.retryable:
                    raise
                self._watched.lost(f"{sentence(error)} Trying again.")
                self.told()
            await self._clock.sleep(PAUSES_S[min(tried, len(PAUSES_S) - 1)])
            tried += 1


def _nothing(text: str) -> None:
    """Say nothing: the screen is drawn on."""
