"""A test of whoever is told: an alert that means nothing, so that what is set wrong is seen before it matters."""

import asyncio
import secrets
from collections.abc import Sequence

import structlog
from msgspec.structs import replace

from hyperinfer.contracts.metrics import Alert, AlertTried
from hyperinfer.errors import DeadlineExceeded, HyperinferError, Overloaded
from hyperinfer.facilities.clock import Clock
from hyperinfer.workers.metrics.alerts.notifying.notice import Notice
from hyperinfer.workers.metrics.alerts.notifying.outbox import Receiver

WITHIN_S = 20.0
"""So long may a receiver take for both notices; then it has failed."""
TEST = Alert(
    id="",
    rule="test",
    severity="info",
    state="firing",
    summary="This is a test of hyperinfer's alerts.",
    do="Nothing is wrong: somebody wanted to know whether this arrives.",
    labels={},
    value=None,
    since="",
)

log = structlog.get_logger(__name__)


class Trial:
    """Tells receivers of an alert that fires and of its end, once and at once: nothing of it waits in a box."""

    def __init__(self, receivers: Sequence[Receiver], *, clock: Clock) -> None:
        self._receivers = receivers
        self._clock = clock
        self._is_running = False

    async def run(self) -> tuple[AlertTried, ...]:
        """What comes of it at each receiver. Raises `Overloaded` while another test runs."""
        if self._is_running:
            raise Overloaded("Another test is under way; try again shortly.", retry_after_s=WITHIN_S)
        self._is_running = True
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._try(one)) for one in self._receivers]
        finally:
            self._is_running = False
        return tuple(task.result() for task in tasks)

    async def _try(self, receiver: Receiver) -> AlertTried:
        began = self._clock.monotonic()
        error = ""
        try:
            async with asyncio.timeout(WITHIN_S):
                for notice in self._notices():
                    await receiver.tell(notice)
        except TimeoutError:
            error = DeadlineExceeded(f"It did not answer within {WITHIN_S:g} s.").message
        except HyperinferError as refused:
            error = refused.message
        took_s = round(self._clock.monotonic() - began, 3)
        log.info("alert_receiver_tested", receiver=receiver.name, reason=error or None)
        return AlertTried(receiver=receiver.name, error=error, took_s=took_s)

    def _notices(self) -> tuple[Notice, Notice]:
        now = self._clock.now().isoformat()
        begun = replace(TEST, id=secrets.token_hex(8), since=now)
        over = replace(begun, state="resolved", resolved_at=now)
        return (
            Notice(id=secrets.token_hex(8), at=now, firing=(begun,)),
            Notice(id=secrets.token_hex(8), at=now, resolved=(over,)),
        )
