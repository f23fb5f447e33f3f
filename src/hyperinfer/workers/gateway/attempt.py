"""One attempt to have a request answered by one worker, and what the gateway learns from how it ended."""

import asyncio
from collections.abc import Sequence

from hyperinfer.contracts.inference import PROCESS_REQUEST, Processed, ProcessRequest
from hyperinfer.contracts.method import Meta
from hyperinfer.errors import (
    BackendFailed,
    Draining,
    InternalError,
    PeerLost,
    PeerUnreachable,
    RemoteError,
)
from hyperinfer.facilities import tracing
from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.tracing import Span
from hyperinfer.kernel.calls import Call, Send
from hyperinfer.workers.gateway.fleet import Fleet
from hyperinfer.workers.gateway.offers import Offer

LOST = (PeerLost, PeerUnreachable)
"""Errors after which a worker gets nothing more until it reports again."""
FAULTS = (BackendFailed, InternalError, RemoteError)
"""Errors that lie with the model at this worker, and so open its breaker."""
SILENCE_S = 30.0
"""How long a worker that reports no more may still go on with an answer that nobody else can."""


class Attempt:
    """A request at an offer, which is the first that has it, or of a higher `number`. Where nobody could take it over any more, it is let wait longer for a silent worker."""

    def __init__(self, offer: Offer, call: Call, sink: Send | None, *, number: int, resumable: bool) -> None:
        self._offer = offer
        self._call = call
        self._sink = sink
        self._number = number
        self._resumable = resumable
        self._patience: asyncio.Timeout
        self._begun = False

    async def run(self, request: ProcessRequest, *, fleet: Fleet, clock: Clock) -> Processed:
        """Have it answered. Raises what the worker answers, and `PeerLost` if it falls silent."""
        breaker = self._offer.breaker
        try:
            with tracing.calling(PROCESS_REQUEST.name) as span:
                if span is not None:
                    self._tell(span, resumed=request.continues is not None and request.continues.tokens > 0)
                processed = await self._ask(request, timeout_s=self._call.deadline - clock.monotonic())
        except FAULTS:
            breaker.failed(clock.monotonic())
            raise
        except LOST:
            fleet.lost(self._offer.worker)
            breaker.released()
            raise
        except Draining:
            self._offer.worker.draining = True  # until it reports again
            breaker.released()
            raise
        except BaseException:
            breaker.released()
            raise
        breaker.succeeded()
        return processed

    def fallen_silent(self) -> None:
        """Its worker reports no more: give it up, so that another one can take over."""
        if self._patience.when() is None:
            allowed_s = SILENCE_S if self._begun and not self._resumable else 0.0
            self._patience.reschedule(asyncio.get_running_loop().time() + allowed_s)

    def _tell(self, span: Span, *, resumed: bool) -> None:
        """Tell the trace which worker gets it, for the how manieth time somebody does, and whether to go on with an answer."""
        span.attributes["hyperinfer.model"] = self._offer.status.name
        span.attributes["hyperinfer.attempt"] = self._number
        span.attributes["hyperinfer.resumed"] = resumed

    async def _ask(self, request: ProcessRequest, *, timeout_s: float) -> Processed:
        worker = self._offer.worker
        try:
            async with asyncio.timeout(None) as self._patience:
                worker.attempts.add(self)
                return await worker.caller.call(
                    PROCESS_REQUEST,
                    request,
                    meta=_onward(self._call.meta),
                    timeout_s=timeout_s,
                    sink=self._take if self._sink else None,
                )
        except TimeoutError as error:
            raise PeerLost("The worker has fallen silent.") from error
        finally:
            worker.attempts.discard(self)

    async def _take(self, chunks: Sequence[bytes]) -> None:
        assert self._sink is not None
        self._begun = True
        if self._patience.when() is not None:
            self._patience.reschedule(None)
        await self._sink(chunks)


def _onward(meta: Meta) -> Meta:
    """What goes on to a worker: the labels, never the credential or the client's address."""
    return Meta(request_id=meta.request_id, traceparent=meta.traceparent)
