"""The ASGI app: every HTTP route, written against the gateway's contract, whoever serves that contract."""

from collections.abc import Sequence

from starlette.exceptions import HTTPException
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from hyperinfer import __version__
from hyperinfer.edge import health, platform
from hyperinfer.edge.bodies import Bodies
from hyperinfer.edge.dialects import Dialect, anthropic, ollama, openai, openai_responses
from hyperinfer.edge.docs import DocsRoutes
from hyperinfer.edge.endpoint import routes_of
from hyperinfer.edge.errors import WrongHttpMethod
from hyperinfer.edge.guard import Guard
from hyperinfer.edge.model_route import ModelRoute
from hyperinfer.edge.no_route import NoRoute
from hyperinfer.edge.openapi import document
from hyperinfer.edge.operations import Group
from hyperinfer.edge.platform import original
from hyperinfer.edge.seen import requests_of, route_table
from hyperinfer.edge.ws import PATH as WEB_SOCKET
from hyperinfer.edge.ws import WebSocketRoute
from hyperinfer.kernel.calls import Caller
from hyperinfer.kernel.observation import Observation
from hyperinfer.kernel.settings import HttpSettings

DIALECTS: Sequence[Dialect] = (openai.DIALECT, openai_responses.DIALECT, anthropic.DIALECT, ollama.DIALECT)
"""Every API of others that is spoken here."""


def groups(*, request_timeout_s: float, metrics: bool) -> Sequence[Group]:
    """Every route that there is."""
    return (
        *(dialect.group for dialect in DIALECTS),
        *platform.groups(inference_timeout_s=request_timeout_s),
        health.group(show_metrics=metrics),
    )


def create_app(
    gateway: Caller,
    settings: HttpSettings,
    *,
    request_timeout_s: float,
    metrics: bool,
    observation: Observation | None = None,
) -> ASGIApp:
    """The app over a gateway's contract. `metrics` says whether `/metrics` is shown to whoever reaches the port; `observation` is that
    of the worker which has it, who counts and traces its requests."""
    bodies = Bodies(limit_bytes=settings.max_body_bytes)
    to_models = {
        path: ModelRoute(gateway, read, bodies=bodies, timeout_s=request_timeout_s)
        for dialect in DIALECTS
        for path, read in dialect.readers.items()
    }
    every = groups(request_timeout_s=request_timeout_s, metrics=metrics)
    router = Router(
        routes=[
            *routes_of(every, gateway, settings, bodies),
            *DocsRoutes(lambda: document(every, version=__version__)).routes(),
        ],
        redirect_slashes=False,
        default=NoRoute(operation.path for group in every for operation in group.operations),
    )

    sockets = WebSocketRoute(gateway, settings, timeout_s=request_timeout_s)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == WEB_SOCKET or scope["type"] == "websocket":
            await sockets(scope, receive, send)
            return
        to_model = to_models.get(scope["path"])
        if to_model is not None:
            _require_post(scope)
            await to_model(scope, receive, send)
            return
        scope["app"] = app  # the router then raises its refusals instead of answering in plain text
        try:
            await router(scope, receive, send)
        except HTTPException as error:
            raise _wrong_method(scope, (error.headers or {}).get("Allow", "")) from error

    errors = {path: dialect.error for dialect in DIALECTS if dialect.error for path in dialect.paths}
    id_headers = {path: dialect.id_header for dialect in DIALECTS if dialect.id_header for path in dialect.paths}
    fixed = {path: path for path in (*to_models, WEB_SOCKET)}
    routes = {route.endpoint: route.path for route in router.routes if isinstance(route, Route)}
    requests = requests_of(observation, route_table(fixed, routes))
    return Guard(app, settings, requests=requests, errors={**errors, **original.ERRORS}, id_headers=id_headers)


def _require_post(scope: Scope) -> None:
    if scope["method"] != "POST":
        raise _wrong_method(scope, "POST")


def _wrong_method(scope: Scope, allow: str) -> WrongHttpMethod:
    return WrongHttpMethod(f"{scope['path'][:200]} takes {allow}, not {scope['method']}.", allow=allow)
