"""A worker's own port: `/metrics` for Prometheus, `/healthz` (alive) and `/readyz` (can serve, or why not)."""

import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import structlog
from msgspec.structs import asdict
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from hyperinfer.facilities.http import Listen, serving
from hyperinfer.kernel.base_methods import BaseMethods
from hyperinfer.kernel.http import is_address, is_loopback, name_of
from hyperinfer.kernel.settings import ObserveSettings

log = structlog.get_logger(__name__)

MAX_CONNECTIONS = 64
NOT_SHOWN = (
    "Metrics are not shown here: this port can be reached from other machines, and observe.token is not set. Set it, and have "
    "Prometheus send it as a bearer token."
)

NOT_BY_NAME = (
    "Ask for localhost, or by the address in digits; for another name set observe.token, and send it as a bearer token."
)


@asynccontextmanager
async def observed(settings: ObserveSettings, default_port: int, base: BaseMethods) -> AsyncIterator[dict[str, str]]:
    """Serve the worker's own port for the length of the block; gives its address as `observe`, or nothing if it is
    switched off. Raises `StartError` if a configured port is taken."""
    if not settings.enabled:
        yield {}
        return
    listen = Listen(
        host=settings.host,
        port=settings.port,
        first_port=default_port,
        setting="observe.port",
        max_connections=MAX_CONNECTIONS,
        drain_s=1.0,
    )
    if not settings.token and not is_loopback(settings.host):
        log.warning("metrics_not_shown", host=settings.host, do="set observe.token")
    async with serving(app(base, settings), listen) as url:
        yield {"observe": url}


def app(base: BaseMethods, settings: ObserveSettings) -> Starlette:
    """The routes. What shows metrics asks for the token; whether the worker is well anybody may know who reaches it."""

    async def metrics(_: Request) -> Response:
        return Response(await base.measured_text(), media_type=CONTENT_TYPE_LATEST)

    async def links(_: Request) -> Response:
        seen = await base.look_at_links()
        shown = asdict(seen) | {"links": [asdict(link) for link in seen.links]}
        return Response(msgspec.json.encode(shown), media_type="application/json")

    async def healthz(_: Request) -> Response:
        return Response(b'{"status":"alive"}', media_type="application/json")

    async def readyz(_: Request) -> Response:
        health = base.look()
        status = 200 if health.status == "ready" else 503
        return Response(msgspec.json.encode(asdict(health)), status_code=status, media_type="application/json")

    shown = Starlette(routes=[Route("/metrics", metrics), Route("/links", links), *base.observe_routes])
    return Starlette(
        routes=[Route("/healthz", healthz), Route("/readyz", readyz), Mount("/", Shown(shown, settings))],
    )


class Shown:
    """An app whose answers show metrics, in front of which whoever asks is looked at.

    Without a token this machine's own programs are shown them, and no page of a browser's: one that rebinds DNS to reach us always
    comes with a name of its own as `Host`.
    """

    def __init__(self, app: ASGIApp, settings: ObserveSettings) -> None:
        self._app = app
        self._credential = f"Bearer {settings.token}".encode() if settings.token else b""
        self._is_closed = not settings.token and not is_loopback(settings.host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or say why not."""
        refusal = self._refusal(scope)
        await (self._app if refusal is None else refusal)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        if self._is_closed:
            return PlainTextResponse(NOT_SHOWN, 403)
        headers = dict(scope["headers"])
        given, name = headers.get(b"authorization", b""), name_of(headers.get(b"host", b"localhost").decode("latin-1"))
        if not self._credential and name != "localhost" and not is_address(name):
            return PlainTextResponse(NOT_BY_NAME, 403)
        if self._credential and not hmac.compare_digest(given, self._credential):
            return PlainTextResponse("This takes observe.token as a bearer token.", 401, {"www-authenticate": "Bearer"})
        return None
