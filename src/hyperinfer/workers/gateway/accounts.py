"""Accounts and API keys: what the gateway lets through to auth, and in which form it answers."""

import math
from typing import TypeVar

from hyperinfer.contracts import auth, gateway
from hyperinfer.contracts.auth import ApiKey, ApiKeys, NewApiKey
from hyperinfer.contracts.method import Meta, Method
from hyperinfer.edge.errors import status_of
from hyperinfer.errors import BadRequest, DeadlineExceeded, Forbidden, HyperinferError, Unavailable
from hyperinfer.kernel.calls import Call, Caller
from hyperinfer.workers.gateway.limits import StrangerLimits

Q = TypeVar("Q")
R = TypeVar("R")

TIMEOUT_S = 15.0
"""How long auth may take; hashing a password waits in line there."""


class Accounts:
    """Registers, logs in, and manages keys, by asking auth.

    Calls under `own_key` come from this gateway's own HTTP edge; `http_open` and `swarm_open` say where registering
    is open.
    """

    def __init__(
        self, auth_caller: Caller, limits: StrangerLimits, *, own_key: bytes, http_open: bool, swarm_open: bool
    ) -> None:
        self._auth = auth_caller
        self._limits = limits
        self._own_key = own_key
        self._http_open = http_open
        self._swarm_open = swarm_open

    async def register(self, request: gateway.Register, call: Call) -> gateway.RegisterReply:
        """Make an account; a refusal is a reply."""
        try:
            self.check_stranger(call)
            if not (self._http_open if call.caller == self._own_key else self._swarm_open):
                raise Forbidden("Registration is closed here; ask the operator for an account.")
            for name in ("email", "password"):
                if not getattr(request, name):
                    raise BadRequest(f"The field {name} is missing.", param=name)
            wanted = auth.Register(email=request.email, password=request.password, username=request.username)
            made = await self._ask(auth.REGISTER, wanted, call.meta)
        except HyperinferError as error:
            return gateway.RegisterReply(
                success=False,
                status=status_of(error),
                message=error.message,
                code=error.code,
                retry_after=_retry_after(error),
            )
        return gateway.RegisterReply(
            success=True,
            status=201,
            message="User registered successfully",
            email=made.account.email,
            account=made.account,
            api_key=made.key,
        )

    async def login(self, request: gateway.Login, call: Call) -> gateway.LoginReply:
        """Open a session; a refusal is a reply."""
        try:
            self.check_stranger(call)
            if not request.password or not (request.email or request.username):
                raise BadRequest("Logging in takes a password and an email or username.")
            wanted = auth.Login(
                password=request.password, email=request.email or None, username=request.username or None
            )
            session = await self._ask(auth.LOGIN, wanted, call.meta)
        except HyperinferError as error:
            return gateway.LoginReply(
                success=False,
                status=status_of(error),
                message=error.message,
                code=error.code,
                retry_after=_retry_after(error),
            )
        return gateway.LoginReply(
            success=True,
            status=200,
            email=session.account.email,
            key=session.access_token,
            expires_in=session.expires_in_s,
            account=session.account,
        )

    async def generate_key(self, request: gateway.GenerateApiKey, call: Call) -> NewApiKey:
        """A new key for the caller."""
        wanted = auth.GenerateApiKey(user_id=call.principal.user_id, name=request.name)
        return await self._ask(auth.GENERATE_API_KEY, wanted, call.meta)

    async def list_keys(self, call: Call) -> ApiKeys:
        """The caller's keys."""
        return await self._ask(auth.LIST_API_KEYS, auth.OfUser(user_id=call.principal.user_id), call.meta)

    async def revoke_key(self, request: gateway.OfKey, call: Call) -> ApiKey:
        """End one of the caller's keys."""
        wanted = auth.RevokeApiKey(user_id=call.principal.user_id, id=request.id)
        return await self._ask(auth.REVOKE_API_KEY, wanted, call.meta)

    def check_stranger(self, call: Call) -> None:
        """Count a try that needs no credential. Raises `RateLimited`."""
        self._limits.admit(call.meta.remote or "here" if call.caller == self._own_key else call.caller.hex())

    async def _ask(self, method: Method[Q, R], request: Q, meta: Meta) -> R:
        try:
            return await self._auth.call(
                method,
                request,
                meta=Meta(request_id=meta.request_id, traceparent=meta.traceparent),
                timeout_s=TIMEOUT_S,
            )
        except (Unavailable, DeadlineExceeded) as error:
            raise Unavailable("Accounts cannot be reached now. Try again shortly.", retry_after_s=2) from error


def _retry_after(error: HyperinferError) -> int | None:
    retry_after_s = error.details.get("retry_after_s")
    return math.ceil(retry_after_s) if isinstance(retry_after_s, int | float) else None
