"""The ASGI app: every HTTP route, written against the gateway's contract, whoever serves that contract."""

from starlette.exceptions import HTTPException
from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send

from hyperinfer.edge.errors import WrongHttpMethod
from hyperinfer.edge.guard import Guard
from hyperinfer.edge.health import HealthRoutes
from hyperinfer.edge.openai import ChatCompletions, ModelRoutes
from hyperinfer.edge.platform import PlatformRoutes
from hyperinfer.errors import NotFound
from hyperinfer.kernel.calls import Caller
from hyperinfer.kernel.settings import HttpSettings

CHAT = "/v1/chat/completions"


def create_app(gateway: Caller, settings: HttpSettings, *, request_timeout_s: float, metrics: bool) -> ASGIApp:
    """The app over a gateway's contract. `metrics` says whether `/metrics` is shown to whoever reaches the port."""
    limit_bytes = settings.max_body_bytes
    chat = ChatCompletions(gateway, limit_bytes=limit_bytes, timeout_s=request_timeout_s)
    router = Router(
        routes=[
            *ModelRoutes(gateway).routes(),
            *PlatformRoutes(gateway, limit_bytes=limit_bytes, inference_timeout_s=request_timeout_s).routes(),
            *HealthRoutes(gateway, metrics=metrics).routes(),
        ],
        redirect_slashes=False,
        default=_no_route,
    )

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == CHAT:
            _require_post(scope)
            await chat(scope, receive, send)
            return
        scope["app"] = app  # the router then raises its refusals instead of answering in plain text
        try:
            await router(scope, receive, send)
        except HTTPException as error:
            raise _wrong_method(scope, (error.headers or {}).get("Allow", "")) from error

    return Guard(
        app, host=settings.host, hosts=settings.hosts, origins=settings.origins, max_body_bytes=settings.max_body_bytes
    )


def _require_post(scope: Scope) -> None:
    if scope["method"] != "POST":
        raise _wrong_method(scope, "POST")


def _wrong_method(scope: Scope, allow: str) -> WrongHttpMethod:
    return WrongHttpMethod(f"{scope['path'][:200]} takes {allow}, not {scope['method']}.", allow=allow)


async def _no_route(scope: Scope, receive: Receive, send: Send) -> None:
    raise NotFound(
        f"There is no {scope['path'][:200]!r} here. The OpenAI API is under /v1, accounts and keys are under /api."
    )
