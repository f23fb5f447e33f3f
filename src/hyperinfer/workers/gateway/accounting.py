"""Counting requests in and out: limits first, then a record, and both are settled whatever ends the request."""

import asyncio
from types import TracebackType
from typing import Self

from hyperinfer.contracts.usage import Status
from hyperinfer.errors import DeadlineExceeded, HyperinferError, InternalError, RateLimited
from hyperinfer.facilities import tracing
from hyperinfer.facilities.clock import Clock
from hyperinfer.kernel.calls import Call
from hyperinfer.workers.gateway.asked import Asked
from hyperinfer.workers.gateway.journal import Entry, Journal, PromptHash, Reserved
from hyperinfer.workers.gateway.limiting import Limiter
from hyperinfer.workers.gateway.meters import Meters
from hyperinfer.workers.gateway.progress import Progress

WORTH_TELLING_S = 0.001
"""Limits that took less time to look at held nobody up."""


class Accounting:
    """Lets requests in. Each has one record, and gives back what it reserved and did not use."""

    def __init__(
        self, limiter: Limiter, journal: Journal, prompt_hash: PromptHash, *, clock: Clock, meters: Meters
    ) -> None:
        self.limiter = limiter
        self.clock = clock
        self.meters = meters
        self._journal = journal
        self._prompt_hash = prompt_hash

    def counted(self, call: Call, asked: Asked, *, model: str, kind: str) -> "Counted":
        """A request under way, to be entered once: it is settled before the block is left.

        Entering it raises `RateLimited`, and `Unavailable` where it could not be written down.
        """
        return Counted(self, call, asked, model=model, kind=kind)

    def begin(self, call: Call, asked: Asked, progress: Progress, *, model: str, kind: str) -> Entry:
        """Write down that a request has been let in. Raises `Unavailable`."""
        who = call.principal
        reserved = Reserved(
            user_id=who.user_id,
            key_id=who.key_id,
            model=model,
            kind=kind,
            prompt_hash=self._prompt_hash(asked.text),
            request_id=call.meta.request_id,
        )
        return self._journal.begin(reserved, progress)


class Counted:
    """A request that has been let in: how it stood to its `limits` just then, and how far it has come."""

    __slots__ = ("_accounting", "_admission", "_asked", "_call", "_entry", "_kind", "_model", "limits", "progress")

    def __init__(self, accounting: Accounting, call: Call, asked: Asked, *, model: str, kind: str) -> None:
        self._accounting = accounting
        self._call = call
        self._asked = asked
        self._model = model
        self._kind = kind
        self.progress = Progress(prompt_estimate=asked.prompt_estimate, clock=accounting.clock)

    async def __aenter__(self) -> Self:
        accounting, call, asked = self._accounting, self._call, self._asked
        who = call.principal
        call.note(model=self._model or None, kind=self._kind, streamed=call.send is not None)
        try:
            with tracing.span("limits", least_s=WORTH_TELLING_S):
                self._admission = await accounting.limiter.admit(who.subjects, tokens=asked.reservation)
        except RateLimited as error:
            accounting.meters.limited(who, error)
            raise
        try:
            self.limits = self._admission.standing.told
            self._entry = accounting.begin(call, asked, self.progress, model=self._model, kind=self._kind)
        except BaseException:
            await accounting.limiter.settle(self._admission, tokens=0)
            raise
        accounting.meters.admitted(who)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        accounting = self._accounting
        self._call.note(**{name: value for name, value in self.progress.facts.items() if value is not None})
        status, code = _outcome(error, late=accounting.clock.monotonic() >= self._call.deadline)
        try:
            accounting.meters.used(self._call.principal, self._entry.settle(status, error_code=code))
        finally:
            await accounting.limiter.settle(self._admission, tokens=self.progress.usage.total_tokens)


def _outcome(error: BaseException | None, *, late: bool) -> tuple[Status, str | None]:
    """How a request has ended that left with this error, and the error's code."""
    match error:
        case None:
            return "success", None
        case DeadlineExceeded():
            return "timeout", error.code
        case HyperinferError():
            return "error", error.code
        case asyncio.CancelledError():  # the caller has gone, or its time has passed, which reaches us in the same way
            return ("timeout", DeadlineExceeded.code) if late else ("cancelled", None)
        case _:
            return "error", InternalError.code
