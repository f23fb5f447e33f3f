"""The platform's own REST API: accounts, API keys, one-prompt inference, models and workers."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hyperinfer.contracts import gateway as contract
from hyperinfer.contracts import people
from hyperinfer.contracts.method import Nothing
from hyperinfer.edge.request import head_of, read_json, watch
from hyperinfer.edge.responses import head_headers, json_response, snake
from hyperinfer.errors import InternalError, RateLimited, from_code
from hyperinfer.facilities.tasks import background
from hyperinfer.kernel.calls import Caller


class NewAccount(msgspec.Struct, frozen=True):
    """Body of `POST /api/auth/register`; a username left out is made from the e-mail."""

    email: str = ""
    password: str = ""
    username: str | None = None


class Credentials(msgspec.Struct, frozen=True):
    """Body of `POST /api/auth/login`; either field takes name or e-mail."""

    password: str = ""
    email: str = ""
    username: str = ""


class NewKey(msgspec.Struct, frozen=True):
    """Body of `POST /api/auth/api-keys`."""

    name: str = "unnamed"


class Prompt(msgspec.Struct, frozen=True):
    """Body of `POST /api/inference`."""

    prompt: str
    model: str | None = None
    max_tokens: int | None = None


class PlatformRoutes:
    """Handlers of `/api/*`."""

    def __init__(self, gateway: Caller, *, limit_bytes: int, inference_timeout_s: float) -> None:
        self._gateway = gateway
        self._limit_bytes = limit_bytes
        self._inference_timeout_s = inference_timeout_s

    def routes(self) -> list[Route]:
        """The routes."""
        return [
            Route("/api/auth/register", self.register, methods=["POST"]),
            Route("/api/auth/login", self.login, methods=["POST"]),
            Route("/api/auth/api-keys", self.list_keys, methods=["GET"]),
            Route("/api/auth/api-keys", self.create_key, methods=["POST"]),
            Route("/api/auth/api-keys/{id}", self.revoke_key, methods=["DELETE"]),
            Route("/api/inference", self.inference, methods=["POST"]),
            Route("/api/models", self.models, methods=["GET"]),
            Route("/api/workers", self.workers, methods=["GET"]),
        ]

    async def register(self, request: Request) -> Response:
        """Make an account; answers it with its first API key, shown this once."""
        body = await read_json(request.receive, NewAccount, limit_bytes=self._limit_bytes)
        wanted = contract.Register(email=body.email, password=body.password, username=body.username)
        reply = await self._gateway.call(contract.REGISTER, wanted, meta=head_of(request.scope).meta)
        if not reply.success or reply.account is None or reply.api_key is None:
            raise _refusal(reply)
        return json_response({**snake(reply.account), "api_key": snake(reply.api_key)}, reply.status)

    async def login(self, request: Request) -> Response:
        """Open a session; answers its token."""
        body = await read_json(request.receive, Credentials, limit_bytes=self._limit_bytes)
        wanted = contract.Login(password=body.password, email=body.email, username=body.username)
        reply = await self._gateway.call(contract.LOGIN, wanted, meta=head_of(request.scope).meta)
        if not reply.success or reply.account is None:
            raise _refusal(reply)
        session = {"access_token": reply.key, "token_type": "bearer", "expires_in": reply.expires_in}
        return json_response({**session, "user": snake(reply.account)})

    async def list_keys(self, request: Request) -> Response:
        """The caller's API keys, without their secrets."""
        meta = head_of(request.scope).authenticated_meta
        reply = await self._gateway.call(people.LIST_API_KEYS, Nothing(), meta=meta)
        return json_response({"object": "list", "data": [snake(key) for key in reply.keys]})

    async def create_key(self, request: Request) -> Response:
        """A new API key, its secret shown this once."""
        meta = head_of(request.scope).authenticated_meta
        body = await read_json(request.receive, NewKey, limit_bytes=self._limit_bytes)
        key = await self._gateway.call(people.GENERATE_API_KEY, people.GenerateApiKey(name=body.name), meta=meta)
        return json_response(snake(key), 201)

    async def revoke_key(self, request: Request) -> Response:
        """End one of the caller's API keys."""
        meta = head_of(request.scope).authenticated_meta
        wanted = people.OfKey(id=request.path_params["id"])
        key = await self._gateway.call(people.REVOKE_API_KEY, wanted, meta=meta)
        return json_response(snake(key))

    async def inference(self, request: Request) -> Response:
        """Answer one prompt; the client's hanging up cancels it."""
        meta = head_of(request.scope).authenticated_meta
        body = await read_json(request.receive, Prompt, limit_bytes=self._limit_bytes)
        wanted = contract.ProcessPrompt(prompt=body.prompt, model=body.model, max_tokens=body.max_tokens)
        async with background(watch(request.receive), name="client"):
            reply = await self._gateway.call(
                contract.PROCESS_PROMPT, wanted, meta=meta, timeout_s=self._inference_timeout_s
            )
        limits = reply.rate_limit_info
        if not reply.allowed:
            details = snake(limits) if limits else {}
            raise RateLimited(reply.message or "Rate limit exceeded", retry_after_s=reply.retry_after, **details)
        usage = reply.usage and {**snake(reply.usage), "total_tokens": reply.usage.total_tokens}
        answer = {"response": reply.response, "model": reply.model, "usage": usage, "requestId": reply.request_id}
        response = json_response(answer)
        response.raw_headers += head_headers(contract.Head(worker=reply.worker or "", rate_limit_info=limits))
        return response

    async def models(self, request: Request) -> Response:
        """The models that the swarm serves now, with how busy they are."""
        meta = head_of(request.scope).authenticated_meta
        reply = await self._gateway.call(contract.LIST_MODELS, Nothing(), meta=meta)
        return json_response({"models": [snake(model) for model in reply.models]})

    async def workers(self, request: Request) -> Response:
        """The inference workers that the gateway knows."""
        meta = head_of(request.scope).authenticated_meta
        reply = await self._gateway.call(contract.LIST_WORKERS, Nothing(), meta=meta)
        rows = [{**snake(worker), "models": [snake(model) for model in worker.models]} for worker in reply.workers]
        return json_response({"workers": rows})


def _refusal(reply: contract.RegisterReply | contract.LoginReply) -> Exception:
    """The error that a reply of the original shape stands for."""
    if reply.code is None:
        return InternalError("The gateway refused without saying why.")
    details = {} if reply.retry_after is None else {"retry_after_s": reply.retry_after}
    return from_code(reply.code, reply.message or "Refused.", details)
