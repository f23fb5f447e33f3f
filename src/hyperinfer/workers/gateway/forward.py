"""Giving a request to a worker, and to another one if the first fails: from the beginning, or from where it was cut."""

from collections.abc import Sequence

from msgspec.structs import replace

from hyperinfer.contracts.gateway import Inferred, RateLimitInfo
from hyperinfer.contracts.inference import Continued, Processed, ProcessRequest
from hyperinfer.errors import (
    BackendFailed,
    DeadlineExceeded,
    HyperinferError,
    InternalError,
    ModelNotFound,
    RemoteError,
)
from hyperinfer.facilities.clock import Clock
from hyperinfer.kernel.calls import Call
from hyperinfer.protocol.budget import RetryBudget
from hyperinfer.workers.gateway.affinity import Affinity
from hyperinfer.workers.gateway.asked import Asked
from hyperinfer.workers.gateway.attempt import LOST, Attempt
from hyperinfer.workers.gateway.balance import Balance
from hyperinfer.workers.gateway.catalogue import Wanted
from hyperinfer.workers.gateway.fleet import Fleet
from hyperinfer.workers.gateway.line import OF_MODEL, Line
from hyperinfer.workers.gateway.meters import Meters
from hyperinfer.workers.gateway.needs import CONTINUES, needs_of
from hyperinfer.workers.gateway.offers import Offer
from hyperinfer.workers.gateway.progress import Progress
from hyperinfer.workers.gateway.relay import Relay

CUT = (*LOST, BackendFailed, RemoteError, InternalError)
"""Errors upon which an answer that has begun is gone on with elsewhere."""


class Forwarder:
    """Forwards requests, all within their deadline: before the first chunk with at most `retries` further attempts on each
    model that may answer, after it with at most `resumes`, and both within a budget that all requests share."""

    def __init__(
        self, balance: Balance, fleet: Fleet, *, clock: Clock, meters: Meters, retries: int, resumes: int
    ) -> None:
        self._balance = balance
        self._fleet = fleet
        self._clock = clock
        self._meters = meters
        self._retries = retries
        self._resumes = resumes
        self._budget = RetryBudget(clock.monotonic())

    async def forward(
        self,
        request: ProcessRequest,
        wanted: Wanted,
        asked: Asked,
        call: Call,
        *,
        limits: RateLimitInfo | None,
        progress: Progress,
    ) -> Inferred:
        """Have a request answered by a worker that has one of the models that are wanted.

        Raises what the last worker answered, `ModelNotFound`, `Unavailable`.
        """
        self._budget.earn(self._clock.monotonic())
        line = Line(self._balance, wanted, needs_of(request, asked), Affinity(call.principal.user_id, asked))
        offer = await line.first()
        relay = Relay(call, progress, limits, resumable=asked.is_resumable)
        failed: list[Offer] = []
        resumed = 0
        prefill = "" if request.continues is None else request.continues.text
        while True:
            name = offer.status.name
            request = replace(request, model=name, public_model=name)
            progress.given(offer)
            try:
                processed = await self._attempt(offer, request, call, relay)
            except HyperinferError as error:
                failed.append(offer)
                if not relay.started:
                    progress.refused()
                    self._check_retry(line, offer, error)
                    offer = await line.other(error)
                elif relay.said is not None and relay.said.finished:
                    # The caller has had all of it; only the count is missing.
                    return relay.inferred(offer, Processed(usage=progress.usage, finish_reason="", model=name))
                else:
                    resumed += 1
                    request = replace(request, continues=self._rest(prefill, relay, error, resumed))
                    offer = await self._resumer(wanted.only(name), failed, error)
            else:
                line.answered(offer)
                progress.ended(processed)
                self._meters.answered(name, progress, processed)
                return relay.inferred(offer, processed)

    async def _attempt(self, offer: Offer, request: ProcessRequest, call: Call, relay: Relay) -> Processed:
        sink = relay.sink(offer)
        attempt = Attempt(offer, call, sink, number=relay.attempts, resumable=relay.said is not None)
        with self._balance.taking(offer) as taken:
            processed = await attempt.run(request, fleet=self._fleet, clock=self._clock)
            if request.continues is None:
                taken.answered(processed)
            return processed

    def _check_retry(self, line: Line, offer: Offer, error: HyperinferError) -> None:
        """Raise the error again if no other worker shall be asked."""
        of_model = isinstance(error, OF_MODEL)
        if not of_model and not _may_help(error):
            raise error
        if not line.goes_on(offer, done=of_model, retries=self._retries):
            raise error
        if not self._budget.spend(self._clock.monotonic()):
            raise error
        self._meters.retries.labels(error.code).inc()

    def _rest(self, prefill: str, relay: Relay, error: HyperinferError, resumed: int) -> Continued:
        """What the rest of an answer that was cut comes after. Raises the error again if it cannot be gone on with."""
        continued = relay.said.continued if relay.said is not None else None
        may = isinstance(error, CUT) and resumed <= self._resumes
        if continued is None or not may or not self._budget.spend(self._clock.monotonic()):
            raise error
        self._meters.resumes.labels(error.code).inc()
        return replace(continued, text=prefill + continued.text)

    async def _resumer(self, model: Wanted, failed: Sequence[Offer], error: HyperinferError) -> Offer:
        """An offer that can go on with an answer. Raises the error that cut it if there is none."""
        other = self._balance.choose_now(model, without=failed, needs=CONTINUES)
        if other is not None:
            return other
        if not self._balance.some_can(model, CONTINUES):
            raise error
        try:
            return await self._balance.choose(model, without=failed, needs=CONTINUES)
        except HyperinferError as none:
            raise error from none


def _may_help(error: HyperinferError) -> bool:
    """Whether another worker may answer what this one did not."""
    return (error.retryable and not isinstance(error, DeadlineExceeded)) or isinstance(error, ModelNotFound)
