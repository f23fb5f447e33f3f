"""Accounts and API keys: what the gateway lets through to auth, and in which form it answers."""

import math
from typing import TypeVar

from hyperinfer.contracts import auth, gateway
from hyperinfer.contracts.acting import Actor, As, at_auth
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
            wanted = auth.Register(
                email=request.email, password=request.password, username=request.username, code=request.code
            )
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
                password=request.password,
                email=request.email or None,
                username=request.username or None,
                agent=request.agent,
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

    async def pass_on(self, method: Method[Q, R], request: Q, call: Call) -> R:
        """Have auth answer a person's method, told who asks."""
        who = call.principal
        actor = Actor(user_id=who.user_id, key_id=who.key_id, session_id=who.session_id)
        return await self._ask(at_auth(method), As(actor=actor, wanted=request), call.meta)

    def check_stranger(self, call: Call) -> None:
        """Count a try that needs no credential. Raises `RateLimited`."""
        self._limits.admit(call.meta.remote or "here" if call.caller == self._own_key else call.caller.hex())

    async def _ask(self, method: Method[Q, R], request: Q, meta: Meta) -> R:
        try:
            return await self._auth.call(
                method,
                request,
                meta=Meta(request_id=meta.request_id, traceparent=meta.traceparent, remote=meta.remote),
                timeout_s=TIMEOUT_S,
            )
        except (Unavailable, DeadlineExceeded) as error:
            raise Unavailable("Accounts cannot be reached now. Try again shortly.", retry_after_s=2) from error


def _retry_after(error: HyperinferError) -> int | None:
    retry_after_s = error.details.get("retry_after_s")
    return math.ceil(retry_after_s) if isinstance(retry_after_s, int | float) else None
