"""One attempt to have a request answered by one worker, and what the gateway learns from how it ended."""

import asyncio
from collections.abc import Sequence

import msgspec

from hyperinfer.contracts.gateway import Head
from hyperinfer.contracts.inference import PROCESS_REQUEST, Processed, ProcessRequest
from hyperinfer.contracts.method import Meta
from hyperinfer.errors import (
    BackendFailed,
    DeadlineExceeded,
    Draining,
    InternalError,
    PeerLost,
    PeerUnreachable,
    RemoteError,
)
from hyperinfer.facilities.clock import Clock
from hyperinfer.kernel.calls import Call
from hyperinfer.workers.gateway.fleet import Fleet, Offer
from hyperinfer.workers.gateway.progress import Progress

LOST = (PeerLost, PeerUnreachable)
FAULTS = (*LOST, BackendFailed, InternalError, RemoteError, DeadlineExceeded)
"""Errors that lie with the worker, and so open its breaker."""

_encoder = msgspec.json.Encoder()


class Attempt:
    """A request at an offer. Once `started`, chunks have gone to the caller and nobody else can take it over."""

    def __init__(self, offer: Offer, head: Head, call: Call, progress: Progress) -> None:
        self._offer = offer
        self._head = head
        self._call = call
        self._progress = progress
        self._patience: asyncio.Timeout
        self.started = False

    async def run(self, request: ProcessRequest, *, fleet: Fleet, clock: Clock) -> Processed:
        """Have it answered. Raises what the worker answers, and `PeerLost` if it falls silent before the first chunk."""
        breaker = self._offer.breaker
        try:
            processed = await self._ask(request, timeout_s=self._call.deadline - clock.monotonic())
        except FAULTS as error:
            breaker.failed(clock.monotonic())
            if isinstance(error, LOST):
                fleet.lost(self._offer.worker)
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

    async def _ask(self, request: ProcessRequest, *, timeout_s: float) -> Processed:
        worker = self._offer.worker
        try:
            async with asyncio.timeout(None) as self._patience:
                worker.attempts.add(self._patience)
                return await worker.caller.call(
                    PROCESS_REQUEST,
                    request,
                    meta=_onward(self._call.meta),
                    timeout_s=timeout_s,
                    sink=self._relay if self._call.send else None,
                )
        except TimeoutError as error:
            raise PeerLost("The worker has fallen silent.") from error
        finally:
            worker.attempts.discard(self._patience)

    async def _relay(self, chunks: Sequence[bytes]) -> None:
        """Pass chunks on, before the first of them the head."""
        self._progress.relayed(chunks)
        if not self.started:
            self.started = True
            self._offer.worker.attempts.discard(self._patience)
            chunks = [_encoder.encode(self._head), *chunks]
        await self._call.stream(chunks)


def _onward(meta: Meta) -> Meta:
    """What goes on to a worker: the labels, never the credential or the client's address."""
    return Meta(request_id=meta.request_id, traceparent=meta.traceparent)
