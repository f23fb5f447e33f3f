"""Refuses a key, token or password in a URL: proxies, browsers and logs keep URLs, so it would be no secret any more."""

import re
from urllib.parse import unquote_to_bytes

from hyperinfer.errors import BadRequest

NAMES = frozenset(
    {
        "access_token",
        "api-key",
        "api_key",
        "apikey",
        "auth",
        "authorization",
        "bearer",
        "csrf_token",
        "key",
        "password",
        "secret",
        "token",
        "x-api-key",
    }
)
"""Query fields that hold a secret wherever they are used."""

_SECRET = re.compile(rb"h[ir]_[0-9A-Za-z]{8}_|hr_[0-9A-Za-z]{16}|eyJ[0-9A-Za-z_-]{8,}\.")
"""An API key as far as its secret part, a reset token, a session token."""


def check_url(path: str, query: bytes) -> None:
    """Raise `BadRequest` if a URL holds a credential; the error does not repeat it."""
    if query:
        for pair in query.replace(b";", b"&").split(b"&"):
            if _decoded(pair.partition(b"=")[0]).decode("latin-1").lower() in NAMES:
                raise refused()
        if _SECRET.search(_decoded(query)):
            raise refused()
    if ("_" in path or "." in path or "%" in path) and _SECRET.search(_decoded(path.encode())):
        raise refused()


def refused() -> BadRequest:
    """The error."""
    return BadRequest(
        "A key does not belong in a URL, where proxies and logs keep it: send it as `Authorization: Bearer KEY` or "
        "`X-API-Key: KEY`. Revoke the one that you have just sent; it may be known by now."
    )


def _decoded(text: bytes) -> bytes:
    """Without its escapes, also those of a URL that was escaped twice."""
    return unquote_to_bytes(unquote_to_bytes(text.replace(b"+", b" ")))
