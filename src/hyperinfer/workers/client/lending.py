"""Lending a person's own credential to requests that bring none, such as those of a program that knows no keys.

Whoever can connect to a loopback port is on this machine, so what must be kept out is what comes through it: pages in a
browser, and proxies. A page of another site is told by its `Origin` or `Sec-Fetch-Site`, one that has bound its own
name to this machine by `Host`, a proxy by the headers that it adds, or by speaking as no program does any more.
"""

from collections.abc import Callable, Collection, Mapping
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from hyperinfer.edge.cookies import OURS
from hyperinfer.edge.guard import LOOPBACK

Lend = Callable[[], str]
"""The credential to lend now; empty where there is none."""

PREFIX = "/v1/"
CREDENTIALS = frozenset({b"authorization", b"x-api-key"})
PROXIES = frozenset({b"forwarded", b"via", b"x-real-ip", b"x-client-ip", b"true-client-ip", b"cf-connecting-ip"})
FORWARDED = b"x-forwarded-"


class Lending:
    """An app whose routes to models are asked in somebody's name where a request says none. All others, which look after
    accounts, take a credential from every request."""

    def __init__(self, app: ASGIApp, lend: Lend, *, paths: Collection[str]) -> None:
        self._app = app
        self._lend = lend
        self._paths = frozenset(paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, with the credential if it may have it."""
        if self._reaches_models(scope["path"]) and _is_of_this_machine(scope) and (key := self._lend()):
            kept = [header for header in scope["headers"] if header[0] not in CREDENTIALS]
            scope = {**scope, "headers": [*kept, (b"authorization", b"Bearer " + key.encode())]}
        await self._app(scope, receive, send)

    def _reaches_models(self, path: str) -> bool:
        return path.startswith(PREFIX) or path in self._paths


def _is_of_this_machine(scope: Scope) -> bool:
    """Whether a request brings no credential, and comes from a program here: from no page, and through no proxy."""
    headers: dict[bytes, bytes] = dict(scope["headers"])
    if _is_passed_on(scope, headers) or any(_is_said(headers.get(name, b"")) for name in CREDENTIALS):
        return False
    host = headers.get(b"host", b"").decode("latin-1").lower()
    origin = headers.get(b"origin", b"").decode("latin-1").lower()
    if _name_of(host) not in LOOPBACK or origin not in ("", f"http://{host}", f"https://{host}"):
        return False
    return headers.get(b"sec-fetch-site", b"none") in OURS


def _is_passed_on(scope: Scope, headers: Mapping[bytes, bytes]) -> bool:
    """Whether it came through a proxy. nginx as it is delivered adds no header, and speaks HTTP/1.0, as no program here does."""
    old = scope.get("http_version") == "1.0"
    return old or not PROXIES.isdisjoint(headers) or any(name.startswith(FORWARDED) for name in headers)


def _is_said(credential: bytes) -> bool:
    """Whether a header holds anything; clients that must send a key send an empty one where none was given."""
    return credential.strip().lower() not in (b"", b"bearer")


def _name_of(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
