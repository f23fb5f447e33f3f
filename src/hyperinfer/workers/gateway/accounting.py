"""Counting requests in and out: limits first, then a record, and both are settled whatever ends the request."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from hyperinfer.contracts.gateway import RateLimitInfo
from hyperinfer.contracts.usage import Status
from hyperinfer.errors import DeadlineExceeded, HyperinferError, InternalError
from hyperinfer.facilities.clock import Clock
from hyperinfer.kernel.calls import Call
from hyperinfer.workers.gateway.asked import Asked
from hyperinfer.workers.gateway.journal import Journal, PromptHash, Reserved
from hyperinfer.workers.gateway.limiting import Limiter
from hyperinfer.workers.gateway.progress import Progress


@dataclass(slots=True)
class Counted:
    """A request that has been let in: how it stands to its limits, and how far it has come."""

    limits: RateLimitInfo | None
    progress: Progress


class Accounting:
    """Lets requests in. Each has one record, and gives back what it reserved and did not use."""

    def __init__(self, limiter: Limiter, journal: Journal, prompt_hash: PromptHash, *, clock: Clock) -> None:
        self._limiter = limiter
        self._journal = journal
        self._prompt_hash = prompt_hash
        self._clock = clock

    @asynccontextmanager
    async def counted(self, call: Call, asked: Asked, *, model: str, kind: str) -> AsyncIterator[Counted]:
        """A request under way, settled before the block is left.

        Raises `RateLimited`, and `Unavailable` where it could not be written down.
        """
        who = call.principal
        progress = Progress(prompt_estimate=asked.prompt_estimate, clock=self._clock)
        admission = await self._limiter.admit(who.subjects, tokens=asked.reservation)
        try:
            async with self._recorded(call, asked, model=model, kind=kind, progress=progress):
                yield Counted(admission.standing.told, progress)
        finally:
            await self._limiter.settle(admission, tokens=progress.usage.total_tokens)

    @asynccontextmanager
    async def _recorded(
        self, call: Call, asked: Asked, *, model: str, kind: str, progress: Progress
    ) -> AsyncIterator[None]:
        who = call.principal
        reserved = Reserved(
            user_id=who.user_id,
            key_id=who.key_id,
            model=model,
            kind=kind,
            prompt_hash=self._prompt_hash(asked.text),
            request_id=call.meta.request_id,
        )
        entry = self._journal.begin(reserved, progress)
        status: Status = "error"
        code: str | None = InternalError.code
        try:
            yield
            status, code = "success", None
        except HyperinferError as error:
            status, code = ("timeout" if isinstance(error, DeadlineExceeded) else "error"), error.code
            raise
        except asyncio.CancelledError:
            # The caller has gone, or its time has passed, which reaches us in the same way.
            late = self._clock.monotonic() >= call.deadline
            status, code = ("timeout", DeadlineExceeded.code) if late else ("cancelled", None)
            raise
        finally:
            entry.settle(status, error_code=code)
