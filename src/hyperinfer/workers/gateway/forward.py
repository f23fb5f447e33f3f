"""Giving a request to a worker, and to another one if the first fails before it has answered anything."""

from collections.abc import Sequence

import msgspec

from hyperinfer.contracts.gateway import Head, Inferred, RateLimitInfo
from hyperinfer.contracts.inference import ProcessRequest
from hyperinfer.errors import DeadlineExceeded, HyperinferError, ModelNotFound, Overloaded
from hyperinfer.facilities.clock import Clock
from hyperinfer.kernel.calls import Call
from hyperinfer.workers.gateway.attempt import Attempt
from hyperinfer.workers.gateway.balance import Balance
from hyperinfer.workers.gateway.fleet import Fleet, Offer
from hyperinfer.workers.gateway.meters import Meters
from hyperinfer.workers.gateway.progress import Progress


class Forwarder:
    """Forwards requests: at most `retries` further attempts, none after the first chunk, all within the deadline."""

    def __init__(self, balance: Balance, fleet: Fleet, *, clock: Clock, meters: Meters, retries: int) -> None:
        self._balance = balance
        self._fleet = fleet
        self._clock = clock
        self._meters = meters
        self._retries = retries

    @property
    def default_model(self) -> str | None:
        """The model that answers where none is named."""
        return self._balance.default_model

    async def forward(
        self, request: ProcessRequest, call: Call, *, limits: RateLimitInfo | None, progress: Progress
    ) -> Inferred:
        """Have a request answered by a worker that has `request.model`, or the default one if it is empty.

        Raises what the last worker answered, `ModelNotFound`, `Unavailable`.
        """
        offer = await self._balance.choose(request.model)
        name = offer.status.name
        request = msgspec.structs.replace(request, model=name, public_model=name)
        failed: list[Offer] = []
        while True:
            head = Head(worker=offer.worker.hex, rate_limit_info=limits)
            attempt = Attempt(offer, head, call, progress)
            progress.given(offer)
            try:
                with self._balance.taking(offer):
                    processed = await attempt.run(request, fleet=self._fleet, clock=self._clock)
            except HyperinferError as error:
                failed.append(offer)
                if not attempt.started:
                    progress.refused()
                if attempt.started or not _may_help(error) or len(failed) > self._retries:
                    raise
                self._meters.retries.labels(error.code).inc()
                offer = await self._other(name, failed, error)
                continue
            progress.ended(processed)
            self._observe(name, progress)
            return Inferred(processed=processed, head=head)

    def _observe(self, model: str, progress: Progress) -> None:
        meters = self._meters.model(model)
        meters.duration_s.observe(progress.duration_s)
        if progress.first_token_s is not None:
            meters.first_token_s.observe(progress.first_token_s)
        meters.prompt_tokens.inc(progress.usage.prompt_tokens)
        meters.completion_tokens.inc(progress.usage.completion_tokens)

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
