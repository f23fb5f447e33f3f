"""The one place where an error becomes an HTTP status and an OpenAI error type and code."""

import math
from dataclasses import dataclass
from typing import Any

import msgspec

from hyperinfer import errors
from hyperinfer.contracts.gateway import RateLimitInfo
from hyperinfer.edge.cookies import forgotten
from hyperinfer.errors import HyperinferError, InternalError


class WrongHttpMethod(errors.BadRequest):
    """The path is there and takes other HTTP methods; details: `allow`. It never leaves the edge."""


class WebSocketOnly(errors.BadRequest):
    """The path is there and speaks WebSocket alone. It never leaves the edge."""


class PackedBody(errors.Unsupported):
    """The body is packed, which we do not undo: a few bytes may become any number. It never leaves the edge."""


class SlowBody(errors.DeadlineExceeded):
    """The client did not send its body in time. It never leaves the edge."""

    retryable = False


class SessionCookieRefused(errors.Unauthenticated):
    """The session in the cookie is no more, and the cookie is taken away; details: `secure`. It never leaves the edge."""


RawHeaders = list[tuple[bytes, bytes]]

OPENAI = "invalid_request_error"
SERVER = "server_error"
MAX_RETRY_AFTER_S = 31 * 86_400
"""The longest limit is for a month."""
WORTH_WAITING_S = 60.0
"""A client that tries again by itself waits no longer; some then come a second later, and for nothing."""


@dataclass(frozen=True, slots=True)
class Shown:
    """How a class of errors is shown: HTTP status, OpenAI's `type` and `code`."""

    status: int
    type: str
    code: str | None


SHOWN: dict[type[HyperinferError], Shown] = {
    errors.BadRequest: Shown(400, OPENAI, None),
    WrongHttpMethod: Shown(405, OPENAI, "method_not_allowed"),
    WebSocketOnly: Shown(426, OPENAI, "upgrade_required"),
    PackedBody: Shown(415, OPENAI, "unsupported_content_encoding"),
    SlowBody: Shown(408, OPENAI, "body_too_slow"),
    errors.Unsupported: Shown(400, OPENAI, "unsupported_parameter"),
    errors.ContextExceeded: Shown(400, OPENAI, "context_length_exceeded"),
    errors.Unauthenticated: Shown(401, "authentication_error", "invalid_api_key"),
    errors.Forbidden: Shown(403, "permission_error", "forbidden"),
    errors.NotFound: Shown(404, OPENAI, "not_found"),
    errors.ModelNotFound: Shown(404, OPENAI, "model_not_found"),
    errors.Conflict: Shown(409, OPENAI, "conflict"),
    errors.TooLarge: Shown(413, OPENAI, "too_large"),
    errors.RateLimited: Shown(429, "rate_limit_error", "rate_limit_exceeded"),
    errors.Unavailable: Shown(503, SERVER, "unavailable"),
    errors.Overloaded: Shown(503, SERVER, "overloaded"),
    errors.PeerLost: Shown(503, SERVER, "connection_lost"),
    errors.DeadlineExceeded: Shown(504, SERVER, "deadline_exceeded"),
    errors.BackendFailed: Shown(502, SERVER, "backend_failed"),
    errors.RemoteError: Shown(502, SERVER, "remote_error"),
    errors.MailRefused: Shown(502, SERVER, "mail_refused"),
    errors.StreamStalled: Shown(408, OPENAI, "stream_stalled"),
    errors.HyperinferError: Shown(500, SERVER, "internal_error"),
}
"""By class; a class that is not here is shown as its nearest base."""

OUR_FAULT = InternalError("This failed inside hyperinfer; the operator's log says why.")
"""What a caller sees of an error that is none of ours."""

NO_LIMITS: dict[str, Any] = dict.fromkeys(RateLimitInfo.__struct_fields__)

_encoder = msgspec.json.Encoder()


class ErrorBody(msgspec.Struct, frozen=True):
    """OpenAI's error object."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorEnvelope(msgspec.Struct, frozen=True):
    """OpenAI's error reply."""

    error: ErrorBody


def shown(error: HyperinferError) -> Shown:
    """How an error is shown."""
    return next(SHOWN[kind] for kind in type(error).__mro__ if kind in SHOWN)


def status_of(error: HyperinferError) -> int:
    """The HTTP status of an error."""
    return shown(error).status


def body_of(error: HyperinferError) -> bytes:
    """The error in OpenAI's shape, as JSON."""
    look = shown(error)
    param = error.details.get("param")
    body = ErrorBody(
        message=error.message, type=look.type, param=param if isinstance(param, str) and param else None, code=look.code
    )
    return _encoder.encode(ErrorEnvelope(body))


def example_of(kind: type[HyperinferError]) -> dict[str, Any]:
    """What an error of this class may look like."""
    look = SHOWN[kind]
    return {"error": {"message": "What is wrong, and what to do.", "type": look.type, "param": None, "code": look.code}}


def headers_of(error: HyperinferError) -> RawHeaders:
    """What a client needs beside the body: whether and when to come again, what is allowed, how to authenticate."""
    headers: RawHeaders = []
    worth_it = error.retryable
    retry_after_s = error.details.get("retry_after_s")
    if isinstance(retry_after_s, int | float) and math.isfinite(retry_after_s):
        wait_s = min(max(retry_after_s, 0.0), MAX_RETRY_AFTER_S)
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(wait_s))))
        headers.append((b"retry-after-ms", b"%d" % max(1, math.ceil(wait_s * 1000))))
        worth_it = worth_it and wait_s <= WORTH_WAITING_S
    headers.append((b"x-should-retry", b"true" if worth_it else b"false"))
    if isinstance(error, errors.RateLimited):
        headers += _limit_headers(error.details)
    if isinstance(error, errors.Unauthenticated):
        headers.append((b"www-authenticate", b"Bearer"))
    if isinstance(error, SessionCookieRefused):
        headers.append((b"set-cookie", forgotten(secure=error.details["secure"]).encode()))
    if isinstance(error, WrongHttpMethod):
        headers.append((b"allow", str(error.details["allow"]).encode()))
    if isinstance(error, WebSocketOnly):
        headers.append((b"upgrade", b"websocket"))
    if isinstance(error, PackedBody):
        headers.append((b"accept-encoding", b"identity"))
    return headers


def limit_headers(info: RateLimitInfo) -> RawHeaders:
    """OpenAI's names for how the limits stand, for each kind that limits; `reset` is when more is free again."""
    return _limit("requests", info.max_requests, info.remaining_requests, info.next_reset_in_seconds) + _limit(
        "tokens", info.max_tokens, info.remaining_tokens, info.tokens_reset_in_seconds
    )


def _limit(what: str, most: object, left: object, reset_s: object) -> RawHeaders:
    if not (isinstance(most, int) and isinstance(left, int)):
        return []
    reset = reset_s if isinstance(reset_s, int) else 0
    values = (("limit", f"{most}"), ("remaining", f"{left}"), ("reset", f"{reset}s"))
    return [(f"x-ratelimit-{name}-{what}".encode(), value.encode()) for name, value in values]


def _limit_headers(details: dict[str, Any]) -> RawHeaders:
    known = {name: value for name, value in details.items() if name in RateLimitInfo.__struct_fields__}
    return limit_headers(RateLimitInfo(**NO_LIMITS | known))
