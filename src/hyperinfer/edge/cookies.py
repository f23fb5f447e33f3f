"""The session cookie of browsers, and what keeps other sites from using it.

A cookie is sent by the browser whoever made the page, so it alone changes nothing: a state-changing request also needs
a token in a header, which only our own pages can know, and must come from the same origin (OWASP, CSRF Prevention).
"""

import hmac
import re
from collections.abc import Mapping
from hashlib import sha256

from hyperinfer.errors import BackendFailed, Forbidden

NAME = "hi_session"
PATH = "/api"
HEADER = "X-CSRF-Token"
CONTEXT = b"hyperinfer csrf 1"
"""What the HMAC is for: a token of another use of the same key is none of this one."""
OURS = frozenset({b"same-origin", b"none"})
"""What `Sec-Fetch-Site` says of our own pages, and of what a person typed."""
BROKEN = ""
"""Stands for a cookie that cannot be a session token."""

_TOKEN = re.compile(r"[A-Za-z0-9._-]{1,8000}")


def session_of(headers: Mapping[bytes, bytes]) -> str | None:
    """The session token in the cookie; `BROKEN` for what cannot be one, or for two that differ."""
    pairs = (part.strip().partition("=") for part in headers.get(b"cookie", b"").decode("latin-1").split(";"))
    found = {value for name, _, value in pairs if name == NAME}
    if not found:
        return None
    token = found.pop()
    return token if not found and _TOKEN.fullmatch(token) else BROKEN


def kept(token: str, *, max_age_s: int, secure: bool) -> str:
    """The `Set-Cookie` that keeps a session. No script can read it, and no other site's page sends it.

    Raises `BackendFailed` for a token that a cookie cannot hold.
    """
    if not _TOKEN.fullmatch(token):
        raise BackendFailed("The gateway gave a session that no cookie can hold.")
    return _cookie(token, max_age_s=max_age_s, secure=secure)


def forgotten(*, secure: bool) -> str:
    """The `Set-Cookie` that takes it away."""
    return _cookie("", max_age_s=0, secure=secure)


def _cookie(token: str, *, max_age_s: int, secure: bool) -> str:
    return f"{NAME}={token}; Max-Age={max_age_s}; Path={PATH}; HttpOnly; SameSite=Strict" + (
        "; Secure" if secure else ""
    )


def csrf_token(session: str) -> str:
    """The token that goes with a session: whoever has it has seen the session's own pages."""
    return hmac.new(session.encode(), CONTEXT, sha256).hexdigest()


def check_not_elsewhere(headers: Mapping[bytes, bytes]) -> None:
    """Check that no page of another site makes a state-changing request. Raises `Forbidden`.

    An `Origin` has been checked by the guard. Who logs in by another site's page would be somebody else.
    """
    if b"origin" not in headers and headers.get(b"sec-fetch-site", b"none") not in OURS:
        raise Forbidden("Pages of another site may not send requests here.")


def check_same_site(headers: Mapping[bytes, bytes], session: str) -> None:
    """Check that a state-changing request was made by our own page. Raises `Forbidden`.

    An `Origin` has been checked by the guard; where there is none, the browser must say that the page is ours.
    """
    if b"origin" not in headers and headers.get(b"sec-fetch-site") != b"same-origin":
        raise Forbidden(
            "A request with the session cookie must say where it comes from: its Origin or Sec-Fetch-Site header is missing."
        )
    shown = headers.get(HEADER.lower().encode(), b"")
    if not hmac.compare_digest(shown, csrf_token(session).encode()):
        raise Forbidden(
            f"A request with the session cookie needs the {HEADER} header; GET /api/auth/csrf answers its value.",
            param=HEADER,
        )
