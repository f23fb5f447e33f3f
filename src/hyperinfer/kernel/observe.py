"""A worker's own port: `/metrics` for Prometheus, `/healthz` (alive) and `/readyz` (can serve, or why not)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from msgspec.structs import asdict
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hyperinfer.facilities.http import Listen, serving
from hyperinfer.kernel.base_methods import BaseMethods
from hyperinfer.kernel.settings import ObserveSettings

MAX_CONNECTIONS = 64


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
    async with serving(app(base), listen) as url:
        yield {"observe": url}


def app(base: BaseMethods) -> Starlette:
    """The routes."""

    async def metrics(_: Request) -> Response:
        return Response(base.metrics_text(), media_type=CONTENT_TYPE_LATEST)

    async def healthz(_: Request) -> Response:
        return Response(b'{"status":"alive"}', media_type="application/json")

    async def readyz(_: Request) -> Response:
        health = base.look()
        status = 200 if health.status == "ready" else 503
        return Response(msgspec.json.encode(asdict(health)), status_code=status, media_type="application/json")

    return Starlette(routes=[Route("/metrics", metrics), Route("/healthz", healthz), Route("/readyz", readyz)])
