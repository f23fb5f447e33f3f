"""Which pages of other sites may use this server from a browser, and what a browser is told so (the Fetch standard's CORS).

A page of another site never comes with the session cookie, and is never given one: it has a key of its own, or nothing.
"""

import re
from collections.abc import Iterable

from hyperinfer.edge.errors import RawHeaders
from hyperinfer.edge.request import RequestHead
from hyperinfer.errors import ConfigError

ANY = "*"
METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE"
MAX_AGE_S = 7200
"""How long a browser may keep what it was told; the longest that Chromium does."""
MAX_ASKED_BYTES = 4096

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/?#@]+")
_NAMES = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:[ \t]*,[ \t]*[!#$%&'*+.^_`|~0-9A-Za-z-]+)*")
"""Field names, as RFC 9110 has them, with commas between."""


class Pages:
    """Pages of other sites, by origin. Without any there is no CORS; `*` stands for every page.

    Raises `ConfigError` for what is no origin.
    """

    def __init__(self, origins: Iterable[str]) -> None:
        named = [origin.rstrip("/").lower() for origin in origins]
        self._any = ANY in named
        self._origins = frozenset(named) - {ANY}
        for origin in sorted(self._origins):
            if not _ORIGIN.fullmatch(origin):
                raise ConfigError(
                    f'http.origins: {origin!r} is no origin; write it as "https://app.example", or "*" for any page.',
                    path="http.origins",
                )

    @property
    def vary(self) -> RawHeaders:
        """What every answer says, so that no cache gives one page what another was told."""
        return [(b"vary", b"origin")] if self._origins and not self._any else []

    def admit(self, origin: str) -> bool:
        """Whether pages of this origin may send requests."""
        return self._any or origin.lower() in self._origins

    def headers(self, origin: str) -> RawHeaders:
        """What lets such a page read an answer, all of its headers included."""
        if not self.admit(origin):
            return []
        allowed = ANY if self._any else origin
        return [
            (b"access-control-allow-origin", allowed.encode("latin-1")),
            (b"access-control-expose-headers", b"*"),  # all of them, where no credentials of the browser's are sent
        ]

    def preflight(self, method: str, head: RequestHead) -> RawHeaders | None:
        """What a browser is told that asks before a page's request; nothing if this is no such question, or none of an
        origin that may send requests."""
        if method != "OPTIONS" or b"access-control-request-method" not in head.headers:
            return None
        if head.origin is None or not self.admit(head.origin):
            return None
        names = head.headers.get(b"access-control-request-headers", b"").strip()
        told = [(b"access-control-allow-methods", METHODS), (b"access-control-max-age", b"%d" % MAX_AGE_S)]
        if len(names) <= MAX_ASKED_BYTES and _NAMES.fullmatch(names):
            told.append((b"access-control-allow-headers", names))
        return told


def is_own(origin: str, host: str) -> bool:
    """Whether a page of this origin came from the server that is asked, by the name under which it is asked."""
    return origin.lower() in (f"http://{host.lower()}", f"https://{host.lower()}")
