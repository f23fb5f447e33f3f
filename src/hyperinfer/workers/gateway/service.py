"""The gateway's decisions for one request: authenticate, limit, forward, count."""

import secrets
from collections.abc import Sequence
from hashlib import blake2b

import msgspec

from hyperinfer.contracts.auth import Principal
from hyperinfer.contracts.gateway import (
    Infer,
    Inferred,
    ProcessPrompt,
    ProcessPromptReply,
    PublicModels,
    RateLimitInfo,
    SwarmWorker,
    SwarmWorkers,
)
from hyperinfer.contracts.inference import Continued, ProcessRequest
from hyperinfer.contracts.usage import Quota
from hyperinfer.errors import BackendFailed, Unauthenticated
from hyperinfer.facilities.clock import Clock
from hyperinfer.kernel.calls import Call
from hyperinfer.protocol.limits import NOT_LIMITED
from hyperinfer.workers.gateway import asked as asked_for
from hyperinfer.workers.gateway.accounting import Accounting
from hyperinfer.workers.gateway.asked import Asked
from hyperinfer.workers.gateway.catalogue import Catalogue
from hyperinfer.workers.gateway.credentials import Credentials
from hyperinfer.workers.gateway.fleet import Fleet
from hyperinfer.workers.gateway.forward import Forwarder
from hyperinfer.workers.gateway.journal import Journal
from hyperinfer.workers.gateway.limiting import Limiter
from hyperinfer.workers.gateway.strangers import StrangerLimits


class _Message(msgspec.Struct, frozen=True):
    content: str | None = None


class _Choice(msgspec.Struct, frozen=True):
    message: _Message


class _Completion(msgspec.Struct, frozen=True):
    """As much of a completion as a single answer needs."""

    choices: tuple[_Choice, ...]


ID_PREFIXES = {"chat": "chatcmpl", "completion": "cmpl", "embedding": "embd"}
"""How the ids of answers begin, as at OpenAI."""

_completion = msgspec.json.Decoder(_Completion)
_encoder = msgspec.json.Encoder()


class GatewayService:
    """What the gateway does, for callers of every kind."""

    def __init__(
        self,
        *,
        credentials: Credentials,
        checks: StrangerLimits,
        limiter: Limiter,
        accounting: Accounting,
        forwarder: Forwarder,
        catalogue: Catalogue,
        fair_secret: bytes,
        fleet: Fleet,
        journal: Journal,
        clock: Clock,
    ) -> None:
        self._credentials = credentials
        self._checks = checks
        self._limiter = limiter
        self._accounting = accounting
        self._forwarder = forwarder
        self._catalogue = catalogue
        self._fleet = fleet
        self._journal = journal
        self._clock = clock
        self._fair_secret = fair_secret

    async def authenticate(self, call: Call) -> Principal:
        """Whose the credential in a call's `meta.key` is. Raises `Unauthenticated`, `Unavailable`, `RateLimited`."""
        if not call.meta.key:
            raise Unauthenticated("This needs a session token or an API key.")
        return await self._credentials.principal(call.meta.key, before_check=lambda: self._checks.admit(call.remote))

    async def infer(self, request: Infer, call: Call) -> Inferred:
        """Have an OpenAI request answered; with `call.send` its chunks are passed on, after a `Head`."""
        asked = asked_for.read(request.body)
        return await self._answered(asked.model or "", request, asked, call)

    async def prompt(self, request: ProcessPrompt, call: Call) -> ProcessPromptReply:
        """Have a single prompt answered as a whole. Raises `RateLimited` as every other error."""
        body: dict[str, object] = {"messages": [{"role": "user", "content": request.prompt}]}
        if request.max_tokens is not None:
            body["max_tokens"] = request.max_tokens
        infer = Infer(body=msgspec.Raw(_encoder.encode(body)))
        inferred = await self._answered(request.model or "", infer, asked_for.read(infer.body), call)
        processed = inferred.processed
        return ProcessPromptReply(
            prompt=request.prompt,
            response=_text_of(processed.completion),
            processed_at=self._clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            request_id=call.meta.request_id or f"req_{secrets.token_hex(12)}",
            model=processed.model,
            usage=processed.usage,
            rate_limit_info=inferred.head.rate_limit_info,
            worker=inferred.head.worker,
        )

    async def limits_of(self, who: Principal) -> RateLimitInfo:
        """What is left to somebody of the limits that are nearest to their end."""
        return (await self._limiter.look(who.subjects)).told or NOT_LIMITED

    async def quota(self, who: Principal) -> Quota:
        """How somebody stands to every limit."""
        standing = await self._limiter.look(who.subjects)
        return Quota(tier=who.tier, limits=standing.quota(self._clock.now()))

    def jwks(self) -> tuple[dict[str, str], ...]:
        """The public keys that verify session tokens."""
        return self._credentials.jwks

    def models(self, who: Principal) -> PublicModels:
        """The models that can answer somebody now, by name."""
        return self._catalogue.models(who)

    def workers(self) -> SwarmWorkers:
        """Every inference worker that is known."""
        rows = [
            SwarmWorker(
                key=worker.hex,
                name=worker.name,
                state=worker.state,
                in_flight=sum(offer.load_estimate.own for offer in worker.offers.values()),
                models=tuple(offer.status for offer in worker.offers.values()),
                backends=worker.backends,
                version=worker.version,
                broken=tuple(name for name, offer in worker.offers.items() if offer.breaker.is_open),
            )
            for worker in self._fleet.workers
        ]
        return SwarmWorkers(workers=tuple(sorted(rows, key=lambda row: row.name)))

    def not_ready(self) -> Sequence[str]:
        """Why no prompt could be answered now."""
        reasons = []
        if not self._credentials.ready:
            reasons.append("Auth has not been reached yet.")
        if not any(offer.usable for offers in self._fleet.offers.values() for offer in offers):
            reasons.append("No inference worker with a model that is ready is connected.")
        reasons += self._journal.reasons
        return reasons

    async def _answered(self, model: str, infer: Infer, asked: Asked, call: Call) -> Inferred:
        """Let a request in, and have it answered."""
        wanted = self._catalogue.wanted(model, call.principal, infer.kind)
        # What is no model here may be anything, a prompt in the wrong field say: it is not written down.
        known = self._catalogue.known(model)
        async with self._accounting.counted(call, asked, model=known, kind=infer.kind) as counted:
            request = self._request(infer, asked, call.principal)
            return await self._forwarder.forward(
                request, wanted, asked, call, limits=counted.limits, progress=counted.progress
            )

    def _request(self, infer: Infer, asked: Asked, who: Principal) -> ProcessRequest:
        fair = blake2b(who.user_id.encode(), digest_size=8, key=self._fair_secret)
        return ProcessRequest(
            kind=infer.kind,
            body=infer.body,
            completion_id=f"{ID_PREFIXES[infer.kind]}-{secrets.token_hex(12)}",
            created=int(self._clock.now().timestamp()),
            fair_key=fair.hexdigest(),
            priority="batch" if asked.service_tier == "flex" else "interactive",
            cache=infer.cache,
            effort=infer.effort,
            continues=Continued(text=infer.prefill, tokens=0) if infer.prefill else None,
        )


def _text_of(completion: msgspec.Raw) -> str:
    """The text of a completion's first choice. Raises `BackendFailed` if there is none."""
    try:
        return _completion.decode(completion).choices[0].message.content or ""
    except (msgspec.DecodeError, IndexError) as error:
        raise BackendFailed("The worker's answer is no chat completion.") from error
