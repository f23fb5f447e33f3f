"""Accounts and API keys: what the gateway lets through to auth, and in which form it answers."""

import math
from contextlib import suppress
from typing import TypeVar

from hyperinfer.contracts import auth, gateway, people
from hyperinfer.contracts.acting import Actor, As, at_auth
from hyperinfer.contracts.audit import NOTE_OPERATION, Operation
from hyperinfer.contracts.method import Meta, Method, Nothing
from hyperinfer.edge.errors import status_of
from hyperinfer.errors import BadRequest, DeadlineExceeded, Forbidden, HyperinferError, Unavailable
from hyperinfer.kernel.calls import Call, Caller
from hyperinfer.workers.gateway.directory import Follower
from hyperinfer.workers.gateway.strangers import StrangerLimits

Q = TypeVar("Q")
R = TypeVar("R")

TIMEOUT_S = 15.0
"""How long auth may take; hashing a password waits in line there."""

READS = frozenset(
    {
        people.GET_ACCOUNT,
        people.EXPORT_ACCOUNT,
        people.LIST_SESSIONS,
        people.LIST_API_KEYS,
        people.LIST_ACCOUNTS,
        people.SHOW_ACCOUNT,
        people.LIST_PERSON_INVITES,
        people.LIST_TIERS,
    }
)
CHANGES = frozenset(people.PASSED_ON) - READS
"""Methods after which the directory may say something else."""


class Accounts:
    """Registers, logs in, and passes on what people ask about their accounts, by asking auth.

    Calls under `own_key` come from this gateway's own HTTP edge; `http` and `swarm` say for whom registering is open:
    `open`, `invite` or `closed`. After a change the gateway's copy of the directory is brought up to it, so that what
    has been answered holds here at once.
    """

    def __init__(
        self,
        auth_caller: Caller,
        limits: StrangerLimits,
        *,
        follower: Follower,
        own_key: bytes,
        http: str,
        swarm: str,
    ) -> None:
        self._auth = auth_caller
        self._limits = limits
        self._follower = follower
        self._own_key = own_key
        self._http = http
        self._swarm = swarm

    async def register(self, request: gateway.Register, call: Call) -> gateway.RegisterReply:
        """Make an account; a refusal is a reply."""
        try:
            self.check_stranger(call)
            self._check_open(self._http if call.caller == self._own_key else self._swarm, request)
            for name in ("email", "password"):
                if not getattr(request, name):
                    raise BadRequest(f"The field {name} is missing.", param=name)
            wanted = auth.Register(
                email=request.email, password=request.password, username=request.username, code=request.code
            )
            made = await self._ask(auth.REGISTER, wanted, call)
            await self._catch_up()
        except HyperinferError as error:
            return gateway.RegisterReply(
                success=False,
                status=status_of(error),
                message=error.message,
                code=error.code,
                param=error.details.get("param"),
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
            session = await self._ask(auth.LOGIN, wanted, call)
        except HyperinferError as error:
            return gateway.LoginReply(
                success=False,
                status=status_of(error),
                message=error.message,
                code=error.code,
                param=error.details.get("param"),
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
        reply = await self._ask(at_auth(method), As(actor=_actor(call), wanted=request), call)
        if method in CHANGES:
            await self._catch_up()
        return reply

    async def note(self, operation: Operation, call: Call) -> None:
        """Have written down what is about to be done for an administrator. Raises `Unavailable`: then it is not to be done."""
        await self._ask(NOTE_OPERATION, As(actor=_actor(call), wanted=operation), call)

    async def reset_password(self, request: people.ResetPassword, call: Call) -> Nothing:
        """Set a password by a one-time token."""
        self.check_stranger(call)
        reply = await self._ask(auth.RESET, request, call)
        await self._catch_up()
        return reply

    def check_stranger(self, call: Call) -> None:
        """Count a try that needs no credential. Raises `RateLimited`."""
        self._limits.admit(call.remote)

    def _check_open(self, mode: str, request: gateway.Register) -> None:
        if mode == "open" or (mode == "invite" and request.code):
            return
        if mode == "invite":
            raise Forbidden("Registering here takes an invitation; ask an administrator for one.", param="code")
        raise Forbidden("Registration is closed here; ask an administrator for an account.")

    async def _catch_up(self) -> None:
        """Know here what auth has just changed. If auth went away meanwhile, it is told as soon as it is back."""
        with suppress(Unavailable):
            await self._follower.catch_up()

    async def _ask(self, method: Method[Q, R], request: Q, call: Call) -> R:
        meta = Meta(
            request_id=call.meta.request_id,
            traceparent=call.meta.traceparent,
            remote=call.remote,
        )
        try:
            return await self._auth.call(method, request, meta=meta, timeout_s=TIMEOUT_S)
        except (Unavailable, DeadlineExceeded) as error:
            raise Unavailable("Accounts cannot be reached now. Try again shortly.", retry_after_s=2) from error


def _actor(call: Call) -> Actor:
    who = call.principal
    return Actor(user_id=who.user_id, key_id=who.key_id, session_id=who.session_id)


def _retry_after(error: HyperinferError) -> int | None:
    retry_after_s = error.details.get("retry_after_s")
    return math.ceil(retry_after_s) if isinstance(retry_after_s, int | float) else None
