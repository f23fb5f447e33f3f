"""What stands before every route: who may ask (Host, Origin), how much (body size), and errors that always look alike."""

import asyncio
from collections.abc import Container, Mapping
from types import MappingProxyType

import structlog
from msgspec.structs import replace
from starlette.types import ASGIApp, Receive, Scope, Send

from hyperinfer.edge.answer import Answer
from hyperinfer.edge.bodies import too_large
from hyperinfer.edge.cors import Pages, is_own
from hyperinfer.edge.dialects import WriteError
from hyperinfer.edge.errors import OUR_FAULT, PackedBody, RawHeaders, body_of
from hyperinfer.edge.keys_in_urls import check_url
from hyperinfer.edge.proxies import Proxies
from hyperinfer.edge.request import HEAD, SAFE_METHODS, ClientGone, RequestHead, read_head
from hyperinfer.edge.seen import Requests, Seen
from hyperinfer.edge.ws.handshake import METHOD as HANDSHAKE
from hyperinfer.edge.ws.handshake import refusing
from hyperinfer.errors import BadRequest, Draining, Forbidden, HyperinferError
from hyperinfer.facilities.http.server import NAMES
from hyperinfer.kernel.http import is_address, name_of
from hyperinfer.kernel.settings import HttpSettings

log = structlog.get_logger(__name__)

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
API = "/api/"
IDENTITY = b"identity"
HEADERS: RawHeaders = [(b"x-content-type-options", b"nosniff")]
HEADERS_OF_API: RawHeaders = [
    *HEADERS,
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]
"""What answers hold there is of one person: nothing between us keeps it, no page frames it."""
WILDCARDS = frozenset({"", "0.0.0.0", "::"})
STOPPING = Draining(
    "This server is being stopped, and your request was not done in time. Make it again.", retry_after_s=1
)
DISCARDED = 4
"""A body of up to so many times the bound is let come and thrown away: a client whose connection is cut while it sends sees
a broken connection instead of the refusal, and sends it all again."""


class Guard:
    """Refuses what must not reach a route, and turns every error into an answer: in OpenAI's shape, or as `errors` says
    for a path; `id_headers` are further headers for the request's id, by path. `requests` sees every one.

    Bound to a wildcard, any address in digits is accepted as `Host`: a page that rebinds DNS to reach us always comes
    with its own name.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: HttpSettings,
        *,
        requests: Requests,
        errors: Mapping[str, WriteError],
        id_headers: Mapping[str, bytes] = MappingProxyType({}),
    ) -> None:
        self._app = app
        self._requests = requests
        self._hosts = LOOPBACK | {_plain(name) for name in (settings.host, *settings.hosts)} - WILDCARDS
        self._any_address = settings.host in WILDCARDS
        self._pages = Pages(settings.origins)
        self._proxies = Proxies(settings.trusted_proxies)
        self._headers = HEADERS + self._pages.vary
        self._headers_of_api = HEADERS_OF_API + self._pages.vary
        self._max_body_bytes = settings.max_body_bytes
        self._errors = errors
        self._id_headers = id_headers
        self._known: dict[str, None] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or one WebSocket."""
        if scope["type"] == "websocket":
            scope["method"], send = HANDSHAKE, refusing(send)
        elif scope["type"] != "http":
            return
        with self._requests.one(scope) as seen:
            await self._serve(scope, receive, send, seen)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, seen: Seen) -> None:
        answer = Answer(send, self._headers_of_api if scope["path"].startswith(API) else self._headers, seen)
        try:
            if self._proxies:
                self._proxies.look_through(scope)
            head = answer.head = scope[HEAD] = seen.carries(read_head(scope))
            answer.id_header = self._id_headers.get(scope["path"], b"")
            answer.lets_body_come = (
                head.content_length is not None and head.content_length <= DISCARDED * self._max_body_bytes
            )
            if head.origin is not None and not is_own(head.origin, head.host):
                _without_cookie(scope, head)
                answer.of_other_site(self._pages.headers(head.origin))
            if head.host not in self._known:
                self._check_host(head.host, scope.get("state", {}).get(NAMES, ()))
            self._check(scope["method"], head)
            if (told := self._pages.preflight(scope["method"], head)) is not None:
                await answer.empty(told)
                return
            check_url(scope["path"], scope["query_string"])
            await self._app(scope, receive, answer.send)
        except ClientGone:
            return
        except HyperinferError as error:
            seen.error = error.code
            await answer.fail(error, self._writer(scope["path"]))
        except asyncio.CancelledError:  # the server stops, and has waited for as long as it may
            seen.error = STOPPING.code
            await answer.fail(STOPPING, self._writer(scope["path"]))
            raise
        except Exception:  # the edge of HTTP: a fault of ours is logged once and hides its internals
            log.exception("request_failed", method=scope["method"], route=self._requests.route_of(scope))
            seen.error = OUR_FAULT.code
            await answer.fail(OUR_FAULT, self._writer(scope["path"]))

    def _check(self, method: str, head: RequestHead) -> None:
        if head.origin is not None and method not in SAFE_METHODS:
            self._check_origin(head.origin, head.host)
        if head.two_keys:
            raise BadRequest("The Authorization and X-API-Key headers hold different keys; send one.")
        if head.content_length is not None and head.content_length > self._max_body_bytes:
            raise too_large(self._max_body_bytes)
        if head.headers.get(b"content-encoding", IDENTITY).lower() != IDENTITY:
            raise PackedBody("Bodies are taken as they are: leave Content-Encoding out.", param="Content-Encoding")

    def _writer(self, path: str) -> WriteError:
        """How errors are written on a path: as is said for it, or for all that are beside it."""
        return self._errors.get(path) or self._errors.get(f"{path[: path.rfind('/')]}/*", body_of)

    def _check_host(self, host: str, certified: Container[str]) -> None:
        name = name_of(host)
        if name not in self._hosts and name not in certified and not (self._any_address and is_address(name)):
            raise Forbidden(
                f"This server does not answer to the host name {host[:100]!r}. An operator can add it to http.hosts."
            )
        if len(self._known) < 64:
            self._known[host] = None

    def _check_origin(self, origin: str, host: str) -> None:
        if is_own(origin, host) or self._pages.admit(origin):
            return
        raise Forbidden(
            f"Pages of {origin[:100]!r} may not send requests here. An operator can add the origin to http.origins."
        )


def _without_cookie(scope: Scope, head: RequestHead) -> None:
    """The same request without what a browser keeps of us: a page of another site has no part in it."""
    scope["headers"] = [header for header in scope["headers"] if header[0] != b"cookie"]
    scope[HEAD] = replace(head, headers=dict(scope["headers"]))


def _plain(name: str) -> str:
    return name.strip().strip("[]").lower()
