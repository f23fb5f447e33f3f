"""What waits to be told to one receiver: a few notices, in turn, tried again for a while; a slow receiver holds up nobody else."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import structlog

from hyperinfer.errors import HyperinferError
from hyperinfer.facilities.clock import Clock
from hyperinfer.workers.metrics.alerts.meters import Meters
from hyperinfer.workers.metrics.alerts.notifying.notice import Notice

MAX_WAITING = 50
PAUSES_S = (2.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
"""Between two attempts; after the last of them a notice is given up."""
LONGEST_PAUSE_S = 600.0

log = structlog.get_logger(__name__)


class Receiver(Protocol):
    """Somebody who is told. `tell` raises an error that is `retryable` if it may be tried again, and takes its time bounded."""

    name: str

    async def tell(self, notice: Notice) -> None:
        """Tell a notice."""


class Outbox:
    """The notices for one receiver. `run` tells them until cancelled; `changed` is called whenever others are waiting than before."""

    def __init__(
        self,
        receiver: Receiver,
        waiting: Iterable[Notice] = (),
        *,
        clock: Clock,
        meters: Meters,
        changed: Callable[[], None],
    ) -> None:
        self.name = receiver.name
        self._receiver = receiver
        self._waiting = deque(waiting, maxlen=MAX_WAITING)
        self._clock = clock
        self._meters = meters
        self._changed = changed
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()
        self._look()
        meters.of(self.name)

    @property
    def waiting(self) -> Sequence[Notice]:
        """What is not told yet."""
        return tuple(self._waiting)

    def add(self, notice: Notice) -> None:
        """Tell a notice after those that wait. Where there is no room the oldest goes: what is open is told again in time."""
        if len(self._waiting) == MAX_WAITING:
            self._meters.count(self.name, "dropped")
            log.warning("alert_notice_dropped", receiver=self.name, waiting=MAX_WAITING)
        self._waiting.append(notice)
        self._look()

    async def empty(self) -> None:
        """Wait until nothing is left to be told."""
        await self._emptied.wait()

    async def run(self) -> None:
        """Tell what there is, again and again."""
        while True:
            await self._filled.wait()
            notice = self._waiting[0]
            outcome = await self._tell(notice)
            self._meters.count(self.name, outcome)
            if self._waiting and self._waiting[0] is notice:  # it may have had to go meanwhile
                self._waiting.popleft()
            self._look()
            self._changed()

    async def _tell(self, notice: Notice) -> str:
        for pause_s in (*PAUSES_S, None):
            try:
                await self._receiver.tell(notice)
            except HyperinferError as error:
                again = error.retryable and pause_s is not None
                log.warning(
                    "alert_notice_not_taken",
                    receiver=self.name,
                    reason=error.message,
                    pause_s=pause_s if again else None,
                )
                if not again or pause_s is None:
                    return "failed"
                asked_s = float(error.details.get("retry_after_s") or 0.0)
                await self._clock.sleep(min(max(pause_s, asked_s), LONGEST_PAUSE_S))
            else:
                return "sent"
        raise AssertionError("the last attempt has no pause")

    def _look(self) -> None:
        if self._waiting:
            self._filled.set()
            self._emptied.clear()
        else:
            self._filled.clear()
            self._emptied.set()
