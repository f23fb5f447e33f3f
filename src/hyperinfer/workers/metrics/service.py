"""The health of the swarm, as it is told: at once to whoever asks, and again after each collection to whoever watches."""

import asyncio
from collections.abc import Callable

import msgspec

from hyperinfer.contracts.metrics import Alert, SystemHealth
from hyperinfer.errors import Overloaded
from hyperinfer.kernel.calls import Send
from hyperinfer.workers.metrics.view import View

MAX_WATCHING = 64
"""So many may watch at once; gateways watch for those who ask them."""

OpenAlerts = Callable[[], tuple[Alert, ...]]


def no_alerts() -> tuple[Alert, ...]:
    """Nothing is not well."""
    return ()


def system_health(view: View, alerts: tuple[Alert, ...]) -> SystemHealth:
    """The swarm at the last collection. Alerts that do not fire yet, or that somebody silenced, do not make it less well."""
    firing = {alert.severity for alert in alerts if alert.state == "firing" and alert.silenced_until is None}
    status = "critical" if "critical" in firing else "warning" if "warning" in firing else "ok"
    return SystemHealth(status=status, at=view.now.isoformat(), workers=tuple(view.workers), alerts=alerts)


class SystemFeed:
    """Tells the health of the swarm. One who reads slowly misses what has become old meanwhile, and holds up nobody."""

    def __init__(self, view: View, alerts: OpenAlerts = no_alerts) -> None:
        self._view = view
        self._alerts = alerts
        self._changed = asyncio.Event()
        self._chunk: bytes | None = None
        self._watching = 0
        self._ending = False

    def now(self) -> SystemHealth:
        """The health at the last collection."""
        return system_health(self._view, self._alerts())

    async def watch(self, send: Send) -> None:
        """Send it now and after every collection, until this worker stops. Raises `Overloaded` if too many watch."""
        if self._watching >= MAX_WATCHING:
            raise Overloaded(f"{MAX_WATCHING} watch the swarm already; try again later.", retry_after_s=30)
        self._watching += 1
        try:
            while not self._ending:
                changed = self._changed
                await send([self._encoded()])
                await changed.wait()
        finally:
            self._watching -= 1

    def collected(self) -> None:
        """There is something new to tell."""
        self._chunk = None
        self._changed.set()
        self._changed = asyncio.Event()

    def end(self) -> None:
        """Let those who watch go: the worker is stopping."""
        self._ending = True
        self._changed.set()

    def _encoded(self) -> bytes:
        if self._chunk is None:
            self._chunk = msgspec.json.encode(self.now())
        return self._chunk
