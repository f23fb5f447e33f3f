"""Having a prompt counted by a worker that has the model: it takes no slot, and nothing is used by it."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from hyperinfer.contracts.gateway import CountTokens
from hyperinfer.contracts.inference import COUNT_TOKENS, CountPrompt, ProcessRequest, PromptCount
from hyperinfer.contracts.method import Meta
from hyperinfer.errors import HyperinferError, RateLimited
from hyperinfer.facilities.clock import Clock
from hyperinfer.kernel.calls import Call
from hyperinfer.workers.gateway import asked as asked_for
from hyperinfer.workers.gateway.affinity import Affinity
from hyperinfer.workers.gateway.balance import Balance
from hyperinfer.workers.gateway.catalogue import Catalogue
from hyperinfer.workers.gateway.line import Line
from hyperinfer.workers.gateway.needs import needs_of

RETRIES = 1
AT_ONCE = 4
"""How many prompts of one person are counted at once; a worker counts few at once, and they are everybody's."""


class Counting:
    """Counts prompts, at one further worker if the first one fails."""

    def __init__(self, balance: Balance, catalogue: Catalogue, clock: Clock) -> None:
        self._balance = balance
        self._catalogue = catalogue
        self._clock = clock
        self._running: Counter[str] = Counter()

    async def count(self, request: CountTokens, call: Call) -> PromptCount:
        """How many tokens a chat's prompt has.

        Raises `BadRequest`, `Forbidden`, `ModelNotFound`, `Unavailable`, and `RateLimited` for too many at once.
        """
        with self._turn(call.principal.user_id):
            return await self._counted(request, call)

    @contextmanager
    def _turn(self, user_id: str) -> Iterator[None]:
        if self._running[user_id] >= AT_ONCE:
            raise RateLimited(f"{AT_ONCE} of your prompts are being counted. Wait for one of them.", retry_after_s=1)
        self._running[user_id] += 1
        try:
            yield
        finally:
            self._running[user_id] -= 1
            if not self._running[user_id]:
                del self._running[user_id]

    async def _counted(self, request: CountTokens, call: Call) -> PromptCount:
        asked = asked_for.read(request.body)
        wanted = self._catalogue.wanted(asked.model or "", call.principal)
        needs = needs_of(ProcessRequest(), asked)
        line = Line(self._balance, wanted, needs, Affinity(call.principal.user_id, asked))
        offer = await line.first()
        while True:
            try:
                return await offer.worker.caller.call(
                    COUNT_TOKENS,
                    CountPrompt(body=request.body, model=offer.status.name),
                    meta=Meta(request_id=call.meta.request_id, traceparent=call.meta.traceparent),
                    timeout_s=call.deadline - self._clock.monotonic(),
                )
            except HyperinferError as error:
                if not error.retryable or not line.goes_on(offer, done=False, retries=RETRIES):
                    raise
                offer = await line.other(error)
