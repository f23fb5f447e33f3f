"""The metrics worker of this machine, on its own port: whoever runs it may look without an account."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from hyperinfer.cli.manner import note
from hyperinfer.cli.own_port import headers_of, token_of
from hyperinfer.errors import Unavailable
from hyperinfer.facilities.clock import Clock, SystemClock
from hyperinfer.facilities.http.reading import read_some

if TYPE_CHECKING:
    from hyperinfer.sdk import Alert, History, SystemHealth

ASK_TIMEOUT_S = 3.0
ASKED_EVERY_S = 0.5
MAX_REPLY_BYTES = 16 * 1024 * 1024
PLACE = "this machine"


class Here:
    """What a metrics worker shows at this address. Raises `Unavailable` while it does not."""

    place = PLACE

    def __init__(self, url: str, token: str = "", *, clock: Clock | None = None) -> None:
        self._url = url
        self._headers = headers_of(token)
        self._clock = clock or SystemClock()

    async def now(self) -> "SystemHealth":
        """The health at the last collection."""
        import aiohttp

        from hyperinfer.sdk import SystemHealth

        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ASK_TIMEOUT_S)) as session,
                session.get(f"{self._url}/system", headers=self._headers, allow_redirects=False) as reply,
            ):
                content = await read_some(reply, MAX_REPLY_BYTES)
                if reply.status != 200:
                    raise Unavailable(
                        "The metrics worker of this machine does not show what it knows: set observe.token here too."
                    )
                return msgspec.json.decode(content, type=SystemHealth)
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
            raise Unavailable("The metrics worker of this machine does not answer.") from error

    async def alerts(self) -> "tuple[Alert, ...]":
        """Those of the health."""
        return tuple(sorted((await self.now()).alerts, key=lambda alert: alert.since, reverse=True))

    async def past(self, since: datetime) -> "History | None":
        """Its own port shows no history."""
        return None

    async def watching(self, say: Callable[[str], None] = note) -> "AsyncGenerator[SystemHealth]":
        """The health after each collection."""
        seen: datetime | None = None
        while True:
            health = await self.now()
            if health.at != seen:
                seen = health.at
                yield health
            await self._clock.sleep(ASKED_EVERY_S)


async def found_here() -> Here | None:
    """The metrics worker that runs on this machine, if one does."""
    from hyperinfer.cli.places import load
    from hyperinfer.kernel import config
    from hyperinfer.kernel.status import read_all

    settings = load("metrics").settings
    files = await asyncio.to_thread(read_all, config.home() / settings.status_dir)
    urls = [file.addresses["observe"] for file in files if file.wtype == "metrics" and "observe" in file.addresses]
    return Here(urls[0], token_of("metrics")) if urls else None
