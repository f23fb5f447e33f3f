"""What is watched, as it comes: from one connection after the other, for as long as somebody looks."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import timedelta
from typing import TYPE_CHECKING

from hyperinfer.cli.gateway import for_account
from hyperinfer.cli.live.watched import Watched
from hyperinfer.cli.manner import note, sentence
from hyperinfer.errors import HyperinferError
from hyperinfer.facilities.clock import Clock, SystemClock

if TYPE_CHECKING:
    from hyperinfer.sdk import AsyncClient, History, SystemHealth

PAUSES_S = (1.0, 2.0, 5.0)
"""Pauses before each new try; the last one again and again."""
PAST = timedelta(minutes=15)
"""What of the time before is shown at once."""


class Feed:
    """The health of a swarm behind one gateway. `told` is called whenever what is watched has changed."""

    def __init__(self, gateway: str | None, watched: Watched, *, clock: Clock | None = None) -> None:
        self._gateway = gateway
        self._watched = watched
        self._clock = clock or SystemClock()
        self.told: Callable[[], None] = lambda: None

    async def first(self) -> "SystemHealth":
        """What there is now, before anything is drawn. Raises as the client does: who may not look is told so at once."""
        async with for_account(self._gateway) as client:
            self._watched.gateway = client.base_url
            health = await client.admin.system()
            gateways = frozenset(worker.key for worker in health.workers if worker.wtype == "gateway")
            self._watched.remember(await self._past(client), gateways)
        self._watched.take(health)
        return health

    async def run(self) -> None:
        """Watch until cancelled. A connection that is lost is said to be, and made again; what cannot be mended by trying
        again is raised."""
        tried = 0
        while True:
            try:
                async with aclosing(watching(self._gateway, say=_nothing)) as healths:
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

    async def _past(self, client: "AsyncClient") -> "History | None":
        """The last minutes, if they are kept: nothing depends on them."""
        since = self._clock.now() - PAST
        try:
            return await client.admin.history(("requests_per_s", "tokens_per_s"), since=since)
        except HyperinferError:
            return None


async def watching(gateway: str | None, *, say: Callable[[str], None] = note) -> AsyncGenerator["SystemHealth"]:
    """The health after each collection, from one connection, for an hour at most. Raises as the client does."""
    async with for_account(gateway, say=say) as client, aclosing(client.admin.watch_system()) as healths:
        async for health in healths:
            yield health


def _nothing(text: str) -> None:
    """Say nothing: the screen is drawn on."""
