"""Giving a request to a worker, and to another one if the first fails before it has answered anything."""

from collections.abc import Sequence

import msgspec
from prometheus_client import Histogram

from hyperinfer.contracts.gateway import Head, Inferred, RateLimitInfo
from hyperinfer.contracts.inference import PROCESS_REQUEST, Processed, ProcessRequest
from hyperinfer.contracts.method import Meta
from hyperinfer.errors import (
    BackendFailed,
    DeadlineExceeded,
    Draining,
    HyperinferError,
    InternalError,
    ModelNotFound,
    Overloaded,
    PeerLost,
    PeerUnreachable,
    RemoteError,
)
from hyperinfer.facilities.clock import Clock
from hyperinfer.kernel.calls import Call, Send
from hyperinfer.workers.gateway.balance import Balance
from hyperinfer.workers.gateway.fleet import Fleet, Offer
from hyperinfer.workers.gateway.meters import Meters

LOST = (PeerLost, PeerUnreachable)
FAULTS = (*LOST, BackendFailed, InternalError, RemoteError, DeadlineExceeded)
"""Errors that lie with the worker, and so open its breaker."""

_encoder = msgspec.json.Encoder()


class Relay:
    """Passes the chunks of one attempt on, before the first of them the head; `started` tells whether any came."""

    __slots__ = ("_begun_at", "_clock", "_head", "_meter", "_send", "started")

    def __init__(self, send: Send, head: Head, *, clock: Clock, begun_at: float, meter: Histogram) -> None:
        self._send = send
        self._head = head
        self._clock = clock
        self._begun_at = begun_at
        self._meter = meter
        self.started = False

    async def __call__(self, chunks: Sequence[bytes]) -> None:
        """Pass chunks on."""
        if not self.started:
            self.started = True
            self._meter.observe(self._clock.monotonic() - self._begun_at)
            chunks = [_encoder.encode(self._head), *chunks]
        await self._send(chunks)


class Forwarder:
    """Forwards requests: at most `retries` further attempts, none after the first chunk, all within the deadline."""

    def __init__(self, balance: Balance, fleet: Fleet, *, clock: Clock, meters: Meters, retries: int) -> None:
        self._balance = balance
        self._fleet = fleet
        self._clock = clock
        self._meters = meters
        self._retries = retries

    async def forward(self, request: ProcessRequest, call: Call, limits: RateLimitInfo | None) -> Inferred:
        """Have a request answered by a worker that has `request.model`, or the default one if it is empty.

        Raises what the last worker answered, `ModelNotFound`, `Unavailable`.
        """
        begun_at = self._clock.monotonic()
        offer = await self._balance.choose(request.model)
        name = offer.status.name
        request = msgspec.structs.replace(request, model=name, public_model=name)
        meters = self._meters.model(name)
        failed: list[Offer] = []
        while True:
            head = Head(worker=offer.worker.hex, rate_limit_info=limits)
            relay = call.send and Relay(
                call.send, head, clock=self._clock, begun_at=begun_at, meter=meters.first_token_s
            )
            try:
                with self._balance.taking(offer):
                    processed = await self._attempt(offer, request, call, relay)
            except HyperinferError as error:
                failed.append(offer)
                if (relay and relay.started) or not _may_help(error) or len(failed) > self._retries:
                    raise
                self._meters.retries.labels(error.code).inc()
                offer = await self._other(name, failed, error)
                continue
            meters.duration_s.observe(self._clock.monotonic() - begun_at)
            meters.prompt_tokens.inc(processed.usage.prompt_tokens)
            meters.completion_tokens.inc(processed.usage.completion_tokens)
            return Inferred(processed=processed, head=head)

    async def _attempt(self, offer: Offer, request: ProcessRequest, call: Call, relay: Relay | None) -> Processed:
        """One attempt; the worker's breaker and state learn from how it ended."""
        try:
            processed = await offer.worker.caller.call(
                PROCESS_REQUEST,
                request,
                meta=_onward(call.meta),
                timeout_s=call.deadline - self._clock.monotonic(),
                sink=relay,
            )
        except FAULTS as error:
            offer.breaker.failed(self._clock.monotonic())
            if isinstance(error, LOST):
                self._fleet.lost(offer.worker)
            raise
        except Draining:
            offer.worker.draining = True  # until it reports again
            offer.breaker.released()
            raise
        except BaseException:
            offer.breaker.released()
            raise
        offer.breaker.succeeded()
        return processed

    async def _other(self, model: str, failed: Sequence[Offer], error: HyperinferError) -> Offer:
        """An offer for another attempt. A full worker is not waited for: then its refusal stands."""
        other = self._balance.choose_now(model, without=failed)
        if other is not None:
            return other
        if isinstance(error, Overloaded):
            raise error
        return await self._balance.choose(model, without=failed)


def _may_help(error: HyperinferError) -> bool:
    """Whether another worker may answer what this one did not."""
    return (error.retryable and not isinstance(error, DeadlineExceeded)) or isinstance(error, ModelNotFound)


def _onward(meta: Meta) -> Meta:
    """What goes on to a worker: the labels, never the credential or the client's address."""
    return Meta(request_id=meta.request_id, traceparent=meta.traceparent)
