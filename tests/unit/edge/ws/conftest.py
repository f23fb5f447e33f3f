"""The edge served for real before a gateway that answers what the test says, and a client that speaks JSON on its `/ws`."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any

import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from hyperinfer.contracts.gateway import Head, Infer, Inferred, RateLimitInfo, WhoAmI
from hyperinfer.contracts.inference import Processed, Usage
from hyperinfer.contracts.method import Meta, Nothing
from hyperinfer.edge.app import create_app
from hyperinfer.errors import ModelNotFound, Unauthenticated
from hyperinfer.facilities.http import Listen, serving
from hyperinfer.kernel.calls import Send
from hyperinfer.kernel.settings import HttpSettings
from hyperinfer.testing.gateway import FakeGateway

KEY = {"Authorization": "Bearer hi_ada"}
LIMITS = RateLimitInfo(9, 10, 30, 1)
HEAD = Head(worker="ab" * 32, model="m", first_token_s=0.5, rate_limit_info=LIMITS)


def chunk(content: str | None = None, *, finish_reason: str | None = None, **delta: Any) -> bytes:
    """A chunk of a chat, as workers send it."""
    said = delta if content is None else {"content": content, **delta}
    return json.dumps({"choices": [{"index": 0, "delta": said, "finish_reason": finish_reason}]}).encode()


class Asked:
    """A gateway that knows the keys in `keys`, and whose answers a test leads word by word.

    The last message of a request is a word: `wait` begins and says nothing more until it is cancelled, `missing` fails, and
    anything else is answered with itself.
    """

    def __init__(self) -> None:
        self.keys = {"hi_ada": "ada", "hi_bob": "bob"}
        self.under_way = 0
        self.begun = 0
        self.cancelled = 0
        self.changed = asyncio.Event()
        self.fake = FakeGateway(whoAmI=self._who, processInferenceRequest=self._infer)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until this holds for what is under way."""
        async with asyncio.timeout(10):
            while not holds():
                self.changed.clear()
                await self.changed.wait()

    def _person(self, meta: Meta) -> str:
        if meta.key not in self.keys:
            raise Unauthenticated("This key is not valid.")
        return self.keys[meta.key]

    async def _who(self, request: Nothing, meta: Meta, sink: Send | None) -> WhoAmI:
        name = self._person(meta)
        return WhoAmI(name, f"{name}@example.com", "user", "default", LIMITS)

    async def _infer(self, request: Infer, meta: Meta, sink: Send | None) -> Inferred:
        self._person(meta)
        self._count(1)
        self.begun += 1
        try:
            return await self._answer(request, sink)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        self.under_way += change
        self.changed.set()

    async def _answer(self, request: Infer, sink: Send | None) -> Inferred:
        body = json.loads(bytes(request.body))
        word = body["messages"][-1]["content"] if request.kind == "chat" else body["prompt"]
        if word == "missing":
            raise ModelNotFound("No worker has it.", param="model", retry_after_s=2)
        if sink is not None:
            await sink([msgspec.json.encode(HEAD), chunk("")])
            if word == "wait":
                await asyncio.get_running_loop().create_future()
            for letter in word:
                await sink([chunk(letter)])
            await sink([chunk(finish_reason="stop")])
        whole = {"choices": [{"message": {"role": "assistant", "content": word}}]}
        processed = Processed(Usage(2, 3), "stop", "m", completion=msgspec.Raw(json.dumps(whole).encode()))
        return Inferred(processed, HEAD)


class Client:
    """One socket. What it hears is kept in order of arrival."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def say(self, *messages: dict[str, Any] | str) -> None:
        for message in messages:
            await self.connection.send(message if isinstance(message, str) else json.dumps(message))

    async def hear(self) -> dict[str, Any]:
        async with asyncio.timeout(10):
            heard: dict[str, Any] = json.loads(await self.connection.recv())
        return heard

    async def hears(self, *kinds: str) -> list[dict[str, Any]]:
        """Hear these and nothing else."""
        heard = [await self.hear() for _ in kinds]
        assert [message["type"] for message in heard] == list(kinds), heard
        return heard

    async def until(self, kind: str) -> list[dict[str, Any]]:
        """All until the next one of this kind, it included."""
        heard = [await self.hear()]
        while heard[-1]["type"] != kind:
            heard.append(await self.hear())
        return heard

    async def closed(self) -> tuple[int | None, str | None]:
        """Wait for the end, whatever comes before it; gives the server's code and reason."""
        async with asyncio.timeout(10):
            with suppress(ConnectionClosed):
                while True:
                    await self.connection.recv()
        return self.connection.close_code, self.connection.close_reason


def start(conversation: str, word: str, **request: Any) -> dict[str, Any]:
    """Begins a conversation whose last message is this word."""
    body = {"model": "m", "messages": [{"role": "user", "content": word}], **request}
    return {"type": "start", "id": conversation, "request": body}


def text_of(heard: Sequence[dict[str, Any]]) -> str:
    return "".join(message["text"] for message in heard if message["type"] == "delta")


Open = Callable[..., Awaitable[Client]]


class Served:
    """The edge; `stop` ends the server."""

    def __init__(self, url: str, stop: Callable[[], Coroutine[Any, Any, None]], stack: AsyncExitStack) -> None:
        self.url = url
        self.ws = url.replace("http://", "ws://") + "/ws"
        self.stop = stop
        self._stack = stack

    async def open(self, *, headers: dict[str, str] | None = None, **options: Any) -> Client:
        """A socket of somebody with a key, unless `headers` are others."""
        given = KEY if headers is None else headers
        connection = await self._stack.enter_async_context(
            connect(self.ws, additional_headers=given, close_timeout=1, **options)
        )
        return Client(connection)

    async def ready(self, **options: Any) -> Client:
        """The same, after it has been greeted."""
        client = await self.open(**options)
        await client.hears("ready", "authenticated")
        return client


Serve = Callable[..., Awaitable[Served]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serves a gateway; settings are those of `HttpSettings`."""
    async with AsyncExitStack() as stack:

        async def begin(gateway: FakeGateway, *, drain_s: float = 1.0, **settings: Any) -> Served:
            app = create_app(gateway, HttpSettings(**settings), request_timeout_s=30.0, metrics=True)
            server = AsyncExitStack()
            url = await server.enter_async_context(serving(app, Listen(port=0, drain_s=drain_s, web_sockets=True)))
            stack.push_async_callback(server.aclose)
            return Served(url, server.aclose, stack)

        yield begin


@pytest.fixture
async def asked() -> Asked:
    return Asked()


@pytest.fixture
async def served(serve: Serve, asked: Asked) -> Served:
    return await serve(asked.fake)
