"""The gateway's methods, those of the original interface in its own shapes."""

import math
from collections.abc import Sequence
from typing import Any, TypeVar

from hyperinfer.contracts import audit, people, usage
from hyperinfer.contracts import gateway as contract
from hyperinfer.contracts.auth import Jwks
from hyperinfer.contracts.gateway import RateLimitInfo
from hyperinfer.contracts.method import Method, Nothing
from hyperinfer.errors import HyperinferError, RateLimited
from hyperinfer.kernel.calls import Call, Route, route
from hyperinfer.workers.gateway.accounts import Accounts
from hyperinfer.workers.gateway.counting import Counting
from hyperinfer.workers.gateway.observing import Observing
from hyperinfer.workers.gateway.placing import Placing
from hyperinfer.workers.gateway.service import GatewayService

Q = TypeVar("Q")
R = TypeVar("R")

PASSED_ON: tuple[Method[Any, Any], ...] = (*people.PASSED_ON, *usage.PASSED_ON, *audit.PASSED_ON)


class GatewayMethods:
    """Thin handlers over the service, the accounts, the placing of models, the counting of prompts and the watching of all."""

    def __init__(
        self, service: GatewayService, accounts: Accounts, placing: Placing, counting: Counting, observing: Observing
    ) -> None:
        self._service = service
        self._accounts = accounts
        self._placing = placing
        self._counting = counting
        self._observing = observing

    def routes(self) -> Sequence[Route]:
        """Every method with its handler."""
        return (
            route(contract.PROCESS_INFERENCE, self._service.infer),
            route(contract.PROCESS_PROMPT, self.process_prompt),
            route(contract.REGISTER, self._accounts.register),
            route(contract.LOGIN, self._accounts.login),
            route(contract.VERIFY_SESSION, self.verify_session),
            route(contract.WHO_AM_I, self.who_am_i),
            route(contract.LIST_MODELS, self.list_models),
            route(contract.COUNT_TOKENS, self._counting.count),
            route(contract.LIST_WORKERS, self.list_workers),
            route(contract.LOAD_MODEL, self._placing.load),
            route(contract.UNLOAD_MODEL, self._placing.unload),
            route(people.RESET_PASSWORD, self._accounts.reset_password),
            route(contract.GET_JWKS, self.jwks),
            route(usage.GET_QUOTA, self.quota),
            *map(self._passed_on, PASSED_ON),
            *self._observing.routes(),
        )

    async def process_prompt(self, request: contract.ProcessPrompt, call: Call) -> contract.ProcessPromptReply:
        """One prompt; over the limit it is a reply that says so."""
        try:
            return await self._service.prompt(request, call)
        except RateLimited as error:
            return contract.ProcessPromptReply(
                allowed=False,
                status=429,
                message="Rate limit exceeded",
                retry_after=math.ceil(error.details["retry_after_s"]),
                rate_limit_info=_told(error),
            )

    async def verify_session(self, request: Nothing, call: Call) -> contract.VerifySessionReply:
        """Whose the credential in `meta.key` is; one that is not valid is a reply that says so."""
        try:
            self._accounts.check_stranger(call)
            who = await self._service.authenticate(call)
        except HyperinferError as error:
            if error.retryable:
                raise
            return contract.VerifySessionReply(valid=False, message=error.message)
        return contract.VerifySessionReply(
            valid=True,
            email=who.email,
            username=who.username,
            role=who.role,
            tier=who.tier,
            rate_limit_info=await self._service.limits_of(who),
        )

    async def who_am_i(self, request: Nothing, call: Call) -> contract.WhoAmI:
        """Whose the credential is that may ask models."""
        who = call.principal
        return contract.WhoAmI(
            username=who.username,
            email=who.email,
            role=who.role,
            tier=who.tier,
            rate_limit_info=await self._service.limits_of(who),
        )

    async def list_models(self, request: Nothing, call: Call) -> contract.PublicModels:
        """The models that can answer now."""
        return self._service.models(call.principal)

    async def list_workers(self, request: Nothing, call: Call) -> contract.SwarmWorkers:
        """The inference workers."""
        return self._service.workers()

    async def quota(self, request: Nothing, call: Call) -> usage.Quota:
        """How the caller stands to every limit."""
        return await self._service.quota(call.principal)

    async def jwks(self, request: Nothing, call: Call) -> Jwks:
        """The public keys that verify session tokens."""
        return Jwks(keys=self._service.jwks())

    def _passed_on(self, method: Method[Q, R]) -> Route:
        async def handler(request: Q, call: Call) -> R:
            return await self._accounts.pass_on(method, request, call)

        return route(method, handler)


def _told(error: RateLimited) -> RateLimitInfo | None:
    """How the caller stands to the limits that refused it."""
    fields = RateLimitInfo.__struct_fields__
    if "max_requests" not in error.details:
        return None
    return RateLimitInfo(**{name: value for name, value in error.details.items() if name in fields})
