"""Keeping a link to the gateway, so that a request finds one; and saying when it goes and comes back."""

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from hyperinfer.contracts.common import PING
from hyperinfer.contracts.method import Nothing
from hyperinfer.errors import HyperinferError, PeerUnreachable
from hyperinfer.facilities.clock import Clock
from hyperinfer.kernel.gateways import LinkedGateway
from hyperinfer.workers.client.meters import Meters

LOOK_S = 15.0
"""How long one look for a gateway takes before it is said that there is none."""
PAUSE_S = 1.0
PINGS = 3
"""The fastest of so many says how far the gateway is."""
PING_S = 5.0


@dataclass(frozen=True, slots=True)
class Reached:
    """There is a link to the gateway with this key; a call takes `round_trip_s` there and back."""

    key: bytes
    round_trip_s: float


@dataclass(frozen=True, slots=True)
class Gone:
    """There is none; `reason` is a sentence."""

    reason: str


Tell = Callable[[Reached | Gone], None]
"""Is told whenever the one becomes the other."""


def nobody(_: Reached | Gone) -> None:
    """Nobody wants to know."""


class Reach:
    """Watches over the link."""

    def __init__(
        self, gateway: LinkedGateway, *, clock: Clock, meters: Meters, log: structlog.stdlib.BoundLogger, tell: Tell
    ) -> None:
        self._gateway = gateway
        self._clock = clock
        self._meters = meters
        self._log = log
        self._tell = tell

    async def run(self) -> None:
        """Watch until cancelled."""
        is_told = False
        while True:
            try:
                link = await self._gateway.reach(LOOK_S)
            except PeerUnreachable as error:
                if not is_told:
                    self._gone(error.message)
                is_told = True
                await self._clock.sleep(PAUSE_S)
                continue
            await self._measured(link.remote_key)
            await link.wait_closed()
            self._gone("The connection to the gateway has ended.")
            is_told = True

    async def _measured(self, key: bytes) -> None:
        """Say that it is there, and how far."""
        times = []
        try:
            for _ in range(PINGS):
                began = self._clock.monotonic()
                await self._gateway.call(PING, Nothing(), timeout_s=PING_S)
                times.append(self._clock.monotonic() - began)
        except HyperinferError as error:  # it went away at once: what is waited for next says so
            self._log.debug("gateway_not_measured", reason=error.message)
            return
        reached = Reached(key, min(times))
        self._meters.reached(reached.round_trip_s)
        self._log.info("gateway_reached", key=key.hex(), round_trip_ms=round(reached.round_trip_s * 1000, 2))
        self._tell(reached)

    def _gone(self, reason: str) -> None:
        self._meters.gone()
        self._log.warning("gateway_gone", reason=reason)
        self._tell(Gone(reason))
