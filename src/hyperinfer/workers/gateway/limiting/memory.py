"""Limits counted in this gateway's memory. Token windows are kept over a restart by whoever is told of them."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from hyperinfer.contracts.limits import Subject
from hyperinfer.facilities.clock import Clock
from hyperinfer.protocol.limits import KINDS, Ledger, Spent, Standing
from hyperinfer.workers.gateway.journal.lines import TokenWindow
from hyperinfer.workers.gateway.limiting.port import Admission, Keep


class MemoryLimiter:
    """A limiter for one gateway. None of its methods waits for anything."""

    degraded: str | None = None

    def __init__(self, clock: Clock, *, max_logged: int, keep: Keep, kept: Iterable[TokenWindow] = ()) -> None:
        self._clock = clock
        self._keep = keep
        self._ledger = Ledger(max_entries=max_logged)
        restore(self._ledger, kept)

    async def admit(self, subjects: Sequence[Subject], *, tokens: int) -> Admission:
        """Let a request in. Raises `RateLimited`, `Overloaded`."""
        now, at_s = self._clock.monotonic(), self._clock.now().timestamp()
        hold = self._ledger.admit(subjects, tokens=tokens, now=now, at_s=at_s)
        return Admission(hold, self._ledger.standing_of(hold, now=now, at_s=at_s))

    async def settle(self, admission: Admission, *, tokens: int) -> None:
        """A request has ended."""
        if admission.is_settled:
            return
        admission.is_settled = True
        if changed := self._ledger.settle(admission.hold, tokens=tokens):
            self._keep(to_keep(changed))

    async def look(self, subjects: Sequence[Subject]) -> Standing:
        """How subjects stand."""
        return self._ledger.standing(subjects, now=self._clock.monotonic(), at_s=self._clock.now().timestamp())

    def charge(self, subject: str, *, tokens: int, at: datetime) -> None:
        """Count tokens of a request that was cut."""
        self._keep(to_keep(self._ledger.charge(subject, tokens=tokens, at_s=at.timestamp())))


def to_keep(changed: Iterable[Spent]) -> list[TokenWindow]:
    """Token windows as they are kept."""
    return [TokenWindow(one.subject, one.kind, one.start, one.until, one.used) for one in changed]


def restore(ledger: Ledger, kept: Iterable[TokenWindow]) -> None:
    """Put back what was kept."""
    for window in kept:
        for kind in KINDS:
            if window.kind == kind:
                ledger.restore(window.subject, kind, window.start, window.tokens)
