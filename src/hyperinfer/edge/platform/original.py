"""The routes of the original bridge, in its own shapes, for clients that were written for it: `/register`, `/login`, `/inference`,
`/verify-session`, `/get-api-token`, `/health`.

No identity is kept between requests: `/login` answers the token, and whoever asks for something sends it along.
"""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

import msgspec
from starlette.responses import Response

from hyperinfer.contracts import gateway
from hyperinfer.contracts.gateway import RateLimitInfo
from hyperinfer.contracts.method import PUBLIC, Access, Nothing
from hyperinfer.contracts.people import Password, Text
from hyperinfer.edge.dialects import WriteError
from hyperinfer.edge.errors import status_of
from hyperinfer.edge.operations import Asked, Group, Operation
from hyperinfer.edge.platform.inference import limited
from hyperinfer.edge.platform.sessions import refusal_of
from hyperinfer.edge.request import watch
from hyperinfer.edge.responses import head_headers, json_response
from hyperinfer.errors import BadRequest, HyperinferError, RateLimited, Unauthenticated
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.facilities.tasks import background

REGISTER = "/register"
LOGIN = "/login"
INFERENCE = "/inference"
VERIFY = "/verify-session"
TOKEN = "/get-api-token"
HEALTH = "/health"

ANY_CREDENTIAL = Access("user")
"""Whatever credential it is: the route says something of the credential itself."""

EXAMPLE = {"email": "grace@example.com", "password": "correct horse battery"}


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """Base of what these routes take: what is unknown is passed over, as it always was."""


class Shown(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Base of what they answer."""


class EmailAndPassword(Sent, frozen=True, kw_only=True):
    """An e-mail and a password; `code` is that of an invitation."""

    email: Text = ""
    password: Password = ""
    code: Text | None = None


class Query(Sent, frozen=True, kw_only=True):
    """A prompt; without `model` the gateway's default answers."""

    query: str
    model: Text | None = None


class RegisteredByEmail(Shown, frozen=True, kw_only=True):
    """A new account, with its first API key, shown this once."""

    success: Literal[True] = True
    status: Literal[201] = 201
    message: str
    email: str
    api_key: str


class LoggedIn(Shown, frozen=True, kw_only=True):
    """A session: its token, under both names, is good for `expiresIn` seconds."""

    success: Literal[True] = True
    status: Literal[200] = 200
    email: str
    key: str
    token: str
    expires_in: int


class AnsweredQuery(Shown, frozen=True, kw_only=True):
    """The answer to a prompt."""

    prompt: str
    response: str
    processed_at: str = msgspec.field(name="processed_at")
    request_id: str


class VerifiedCredential(Shown, frozen=True, kw_only=True):
    """A credential that is valid: whose it is, and what the limits leave."""

    valid: Literal[True] = True
    email: str
    rate_limit_info: RateLimitInfo | None


class CredentialGivenBack(Shown, frozen=True, kw_only=True):
    """The credential that was sent, which is valid."""

    success: Literal[True] = True
    token: str


class Healthy(Shown, frozen=True, kw_only=True):
    """The process lives; `timestamp` is in milliseconds since the epoch."""

    status: Literal["healthy"] = "healthy"
    timestamp: int


class Refused(Shown, frozen=True, kw_only=True, omit_defaults=True):
    """A refusal. `code` is hyperinfer's own; over a limit `allowed` is false, and `retryAfter` says in how many seconds to come
    again. A credential that is not valid has `valid: false`."""

    success: Literal[False]
    status: int
    message: str
    code: str
    valid: bool | None = None
    allowed: bool | None = None
    retry_after: int | None = None
    rate_limit_info: RateLimitInfo | None = None


_encoder = msgspec.json.Encoder()


def refused(error: HyperinferError, *, valid: bool | None = None) -> bytes:
    """An error as these routes say it."""
    retry_after_s = error.details.get("retry_after_s")
    limits: dict[str, Any] = {}
    if isinstance(error, RateLimited):
        limits = {"allowed": False, "rate_limit_info": _standing(error.details)}
    body = Refused(
        success=False,
        status=status_of(error),
        message=error.message,
        code=error.code,
        valid=valid,
        retry_after=math.ceil(retry_after_s) if isinstance(retry_after_s, int | float) else None,
        **limits,
    )
    return _encoder.encode(body)


ERRORS: Mapping[str, WriteError] = {
    **dict.fromkeys((REGISTER, LOGIN, INFERENCE, TOKEN, HEALTH), refused),
    VERIFY: partial(refused, valid=False),
}
"""How each route refuses."""


async def register(asked: Asked) -> Response:
    """Make an account."""
    body: EmailAndPassword = asked.body
    wanted = gateway.Register(email=body.email, password=body.password, code=body.code)
    reply = await asked.call(gateway.REGISTER, wanted)
    if not reply.success or reply.account is None or reply.api_key is None:
        raise refusal_of(reply)
    made = RegisteredByEmail(message=reply.message, email=reply.account.email, api_key=reply.api_key.key)
    return json_response(made, reply.status)


async def login(asked: Asked) -> Response:
    """Open a session; its token is in the answer and nowhere else."""
    body: EmailAndPassword = asked.body
    reply = await asked.call(gateway.LOGIN, gateway.Login(email=body.email, password=body.password, agent=asked.agent))
    if not reply.success or reply.account is None or reply.key is None or reply.expires_in is None:
        raise refusal_of(reply)
    return json_response(
        LoggedIn(email=reply.account.email, key=reply.key, token=reply.key, expires_in=reply.expires_in)
    )


async def verify(asked: Asked) -> Response:
    """Whose the credential is, and what its limits leave."""
    session = await _session(asked)
    return json_response(VerifiedCredential(email=session.email or "", rate_limit_info=session.rate_limit_info))


async def token(asked: Asked) -> Response:
    """Give back the credential that was sent, if it is valid. There is no other to give: none is kept here."""
    await _session(asked)
    return json_response(CredentialGivenBack(token=asked.meta.key or ""))


async def health(asked: Asked) -> Response:
    """200 as long as the event loop turns."""
    return json_response(Healthy(timestamp=int(SystemClock().now().timestamp() * 1000)))


async def infer(asked: Asked, timeout_s: float) -> Response:
    """Have a prompt answered; hanging up cancels it."""
    body: Query = asked.body
    if not body.query.strip():
        raise BadRequest("The field query is missing.", param="query")
    wanted = gateway.ProcessPrompt(prompt=body.query, model=body.model)
    async with background(watch(asked.receive), name="client"):
        reply = await asked.call(gateway.PROCESS_PROMPT, wanted, timeout_s=timeout_s)
    if not reply.allowed:
        raise limited(reply)
    answered = AnsweredQuery(
        prompt=body.query,
        response=reply.response or "",
        processed_at=reply.processed_at or "",
        request_id=reply.request_id or asked.head.request_id,
    )
    response = json_response(answered)
    response.raw_headers += head_headers(
        gateway.Head(worker=reply.worker or "", model=reply.model or "", rate_limit_info=reply.rate_limit_info)
    )
    return response


async def _session(asked: Asked) -> gateway.VerifySessionReply:
    """Whose the credential is. Raises `Unauthenticated`."""
    reply = await asked.call(gateway.VERIFY_SESSION, Nothing())
    if not reply.valid:
        raise Unauthenticated(reply.message or "This credential is not valid.")
    return reply


def _standing(details: Mapping[str, Any]) -> RateLimitInfo | None:
    if "max_requests" not in details:
        return None
    return RateLimitInfo(**{name: details[name] for name in RateLimitInfo.__struct_fields__ if name in details})


def group(*, timeout_s: float) -> Group:
    """The routes, with how long an answer may take."""
    return Group(
        "Original interface",
        (
            Operation(
                verb="POST",
                path=REGISTER,
                summary="Make an account, as in the original interface",
                access=gateway.REGISTER.access,
                answer=register,
                body=EmailAndPassword,
                replies=(RegisteredByEmail,),
                status=201,
                example=EXAMPLE,
            ),
            Operation(
                verb="POST",
                path=LOGIN,
                summary="Log in for a token",
                access=gateway.LOGIN.access,
                answer=login,
                body=EmailAndPassword,
                replies=(LoggedIn,),
                example=EXAMPLE,
            ),
            Operation(
                verb="POST",
                path=INFERENCE,
                summary="Have one prompt answered",
                access=gateway.PROCESS_PROMPT.access,
                answer=partial(infer, timeout_s=timeout_s),
                body=Query,
                replies=(AnsweredQuery,),
                example={"query": "Say hello."},
            ),
            Operation(
                verb="POST",
                path=VERIFY,
                summary="Whose the credential is, and what its limits leave",
                access=ANY_CREDENTIAL,
                answer=verify,
                replies=(VerifiedCredential,),
            ),
            Operation(
                verb="POST",
                path=TOKEN,
                summary="The credential that was sent, if it is valid",
                access=ANY_CREDENTIAL,
                answer=token,
                replies=(CredentialGivenBack,),
            ),
            Operation(
                verb="GET",
                path=HEALTH,
                summary="Whether the process lives",
                access=PUBLIC,
                answer=health,
                replies=(Healthy,),
            ),
        ),
        error=Refused,
    )
