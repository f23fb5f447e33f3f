"""Where the health of a swarm is had from: a gateway, as its administrator, or the metrics worker of this very machine."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from hyperinfer.cli.gateway import account_at, for_account
from hyperinfer.cli.live.here import Here, found_here
from hyperinfer.cli.manner import note
from hyperinfer.errors import HyperinferError, Unauthenticated

if TYPE_CHECKING:
    from hyperinfer.sdk import Alert, History, SystemHealth

FIGURES = ("requests_per_s", "tokens_per_s")


class Source(Protocol):
    """One place that tells it. Everything raises as the client does."""

    place: str

    async def now(self) -> "SystemHealth":
        """The health at the last collection."""

    async def alerts(self) -> "tuple[Alert, ...]":
        """What is not well, newest first."""

    async def past(self, since: datetime) -> "History | None":
        """What is drawn of the time before, if it is kept: nothing depends on it."""

    def watching(self, say: Callable[[str], None] = note) -> "AsyncGenerator[SystemHealth]":
        """The health after each collection, for an hour at most."""


class Behind:
    """A gateway's swarm, by its name or address; `place` is its address once it is known."""

    def __init__(self, gateway: str | None) -> None:
        self._gateway = gateway
        self.place = gateway or ""

    async def now(self) -> "SystemHealth":
        """Ask the gateway."""
        async with for_account(self._gateway) as client:
            self.place = client.base_url
            return await client.admin.system()

    async def alerts(self) -> "tuple[Alert, ...]":
        """Ask for those that are open."""
        async with for_account(self._gateway) as client:
            return await client.admin.alerts()

    async def past(self, since: datetime) -> "History | None":
        """Ask for the figures of that time."""
        try:
            async with for_account(self._gateway) as client:
                return await client.admin.history(FIGURES, since=since)
        except HyperinferError:
            return None

    async def watching(self, say: Callable[[str], None] = note) -> "AsyncGenerator[SystemHealth]":
        """One connection."""
        async with for_account(self._gateway, say=say) as client, aclosing(client.admin.watch_system()) as healths:
            async for health in healths:
                yield health


async def source_of(gateway: str | None) -> Source:
    """The gateway that is named, or else the one where this person is logged in, or else what runs on this machine, which needs no
    account."""
    here = await found_here() if gateway is None and not _is_logged_in() else None
    return Behind(gateway) if here is None else here


def _is_logged_in() -> bool:
    try:
        return bool(account_at(None).token)
    except Unauthenticated:
        return False


__all__ = ["Behind", "Here", "Source", "source_of"]
