"""Registering, logging in and out, sessions and passwords: `/api/auth/*` without the keys."""

from typing import Any, Literal

from starlette.responses import Response

from hyperinfer.contracts import gateway, people
from hyperinfer.contracts.method import Nothing
from hyperinfer.contracts.people import Account, NewApiKey, Password, Text
from hyperinfer.edge import cookies
from hyperinfer.edge.operations import Asked, Body, Group, Operation, passing_on
from hyperinfer.edge.responses import json_response
from hyperinfer.edge.shapes import Shape, given, reply_shape, shape_of, shown
from hyperinfer.errors import BadRequest, InternalError, Unauthenticated, from_code

EXAMPLE = {"email": "ada@example.com", "password": "correct horse battery"}


class Registration(Body, frozen=True, kw_only=True):
    """A new account. A username left out is made from the e-mail; `code` is that of an invitation."""

    email: Text
    password: Password
    username: Text | None = None
    code: Text | None = None


class Credentials(Body, frozen=True, kw_only=True):
    """Name or e-mail, in either field, and the password. With `cookie` the session is kept in a cookie that scripts
    cannot read, and the answer holds no token."""

    password: Password
    email: Text = ""
    username: Text = ""
    cookie: bool = False


class Csrf(Body, frozen=True, kw_only=True):
    """What the header `X-CSRF-Token` must hold, as long as the session lasts."""

    csrf_token: str


REGISTERED: Shape = shape_of(
    "Registered",
    "A new account with its first API key, shown this once.",
    reply_shape(Account),
    api_key=reply_shape(NewApiKey),
)
TOKEN: Shape = shape_of(
    "BearerSession",
    "A session: `access_token` is good for `expires_in` seconds.",
    access_token=str,
    token_type=Literal["bearer"],
    expires_in=int,
    user=reply_shape(Account),
)
BROWSER: Shape = shape_of(
    "CookieSession",
    "A session that is in the cookie; `csrf_token` goes with every request that changes something.",
    csrf_token=str,
    expires_in=int,
    user=reply_shape(Account),
)


async def register(asked: Asked) -> Response:
    """Make an account; answers it with its first API key."""
    body: Registration = asked.body
    wanted = gateway.Register(email=body.email, password=body.password, username=body.username, code=body.code)
    reply = await asked.call(gateway.REGISTER, wanted)
    if not reply.success or reply.account is None or reply.api_key is None:
        raise refusal_of(reply)
    return json_response({**given(shown(reply.account)), "api_key": shown(reply.api_key)}, reply.status)


async def login(asked: Asked) -> Response:
    """Open a session."""
    body: Credentials = asked.body
    if not body.email and not body.username:
        raise BadRequest("Logging in takes a username or an email.", param="username")
    wanted = gateway.Login(password=body.password, email=body.email, username=body.username, agent=asked.agent)
    reply = await asked.call(gateway.LOGIN, wanted)
    if not reply.success or reply.account is None or reply.key is None or reply.expires_in is None:
        raise refusal_of(reply)
    return _session(asked, reply.key, reply.expires_in, reply.account, in_cookie=body.cookie)


async def refresh(asked: Asked) -> Response:
    """Give the session a new token, where the old one was: in the cookie or in the answer."""
    reply = await asked.call(people.REFRESH, Nothing())
    return _session(asked, reply.access_token, reply.expires_in_s, reply.account, in_cookie=asked.in_cookie)


async def csrf(asked: Asked) -> Response:
    """Answer the CSRF token of the session in the cookie."""
    if not asked.in_cookie or asked.meta.key is None:
        raise BadRequest("Only a session in a cookie has a CSRF token; with a key in a header none is needed.")
    reply = await asked.call(gateway.VERIFY_SESSION, Nothing())
    if not reply.valid:
        raise Unauthenticated(reply.message or "This session is no longer valid: log in again.")
    return json_response(Csrf(csrf_token=cookies.csrf_token(asked.meta.key)))


def forget_cookie(asked: Asked, response: Response) -> None:
    """Take the session's cookie away."""
    if asked.in_cookie:
        response.headers.append("set-cookie", cookies.forgotten(secure=asked.secure))


def _session(asked: Asked, token: str, expires_in: int, account: Account, *, in_cookie: bool) -> Response:
    session: dict[str, Any] = {"expires_in": expires_in, "user": shown(account)}
    if not in_cookie:
        return json_response({"access_token": token, "token_type": "bearer", **session})
    response = json_response({"csrf_token": cookies.csrf_token(token), **session})
    response.headers.append("set-cookie", cookies.kept(token, max_age_s=expires_in, secure=asked.secure))
    return response


def refusal_of(reply: gateway.RegisterReply | gateway.LoginReply) -> Exception:
    """The error that a reply of the original shape stands for."""
    if reply.code is None:
        return InternalError("The gateway refused without saying why.")
    details: dict[str, object] = {} if reply.param is None else {"param": reply.param}
    if reply.retry_after is not None:
        details["retry_after_s"] = reply.retry_after
    return from_code(reply.code, reply.message or "Refused.", details)


GROUP = Group(
    "Sign-in and sessions",
    (
        Operation(
            verb="POST",
            path="/api/auth/register",
            summary="Make an account",
            access=gateway.REGISTER.access,
            answer=register,
            body=Registration,
            replies=(REGISTERED,),
            status=201,
            example={**EXAMPLE, "username": "ada"},
        ),
        Operation(
            verb="POST",
            path="/api/auth/login",
            summary="Log in, for a token or for a cookie",
            access=gateway.LOGIN.access,
            answer=login,
            body=Credentials,
            replies=(TOKEN, BROWSER),
            example=EXAMPLE,
        ),
        Operation(
            verb="POST",
            path="/api/auth/refresh",
            summary="Exchange the session's token for one that lasts longer",
            access=people.REFRESH.access,
            answer=refresh,
            replies=(TOKEN, BROWSER),
        ),
        Operation(
            verb="GET",
            path="/api/auth/csrf",
            summary="The CSRF token of the session in the cookie",
            access=people.SESSION,
            answer=csrf,
            replies=(Csrf,),
        ),
        passing_on("POST", "/api/auth/logout", people.LOGOUT, "End this session", then=forget_cookie),
        passing_on("GET", "/api/auth/sessions", people.LIST_SESSIONS, "Your open sessions", rows="sessions"),
        passing_on(
            "DELETE",
            "/api/auth/sessions",
            people.END_SESSIONS,
            "End every session but this one; answers those that are left",
            rows="sessions",
            without=("id",),
        ),
        passing_on(
            "DELETE",
            "/api/auth/sessions/{id}",
            people.END_SESSIONS,
            "End one session; answers those that are left",
            rows="sessions",
        ),
        passing_on(
            "POST",
            "/api/auth/password",
            people.CHANGE_PASSWORD,
            "Change your password; every other session ends",
            example={"current": "correct horse battery", "new": "staple battery horse"},
        ),
        passing_on(
            "POST",
            "/api/auth/reset",
            people.RESET_PASSWORD,
            "Set a password by the one-time token that an administrator gave you",
        ),
    ),
)
