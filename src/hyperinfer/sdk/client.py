"""The client library for asyncio: `AsyncClient`."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Any, NoReturn, Self, Unpack

from hyperinfer.errors import BadRequest
from hyperinfer.facilities.net.settings import NetSettings
from hyperinfer.sdk.answers import AnswerStream, Completion, EmbeddingList, answer_of, embeddings_of
from hyperinfer.sdk.calls import Calls
from hyperinfer.sdk.carriers import Carrier
from hyperinfer.sdk.carriers.choice import carrier_to
from hyperinfer.sdk.groups.account import OwnAccount
from hyperinfer.sdk.groups.admin import Admin
from hyperinfer.sdk.groups.keys import Keys
from hyperinfer.sdk.groups.models import Models
from hyperinfer.sdk.groups.sessions import Sessions
from hyperinfer.sdk.groups.usage import OwnUsage
from hyperinfer.sdk.replies import Answer, Embeddings, Inference
from hyperinfer.sdk.requests import (
    ChatOptions,
    EmbedOptions,
    ModelOptions,
    Prompt,
    SampleOptions,
    chat_body,
    fields,
    headers,
)
from hyperinfer.sdk.retries import Effect
from hyperinfer.sdk.transport import Request, Transport
from hyperinfer.sdk.ways import way_to

CHAT = "/v1/chat/completions"


class AsyncClient:
    """A gateway's API. Use it as an async context manager, or `close` it yourself.

    `base_url` is a gateway's address, over HTTP (`https://ai.example.com`) or over the swarm (`hyper://…`, as `hyperinfer
    link` prints it); everything works the same over both. Left out, it is what the environment names in
    `HYPERINFER_GATEWAY`, else the gateway of the local profile, which `hyperinfer up`, `register` and `login` write.

    `api_key` is an API key, or a session's token, for everything. Left out, it is `HYPERINFER_API_KEY`, if that is meant for
    this gateway; else what the profile holds for it: models are asked under its API key if it holds one, all else is done
    in its session if there is one. A credential goes nowhere but to its own gateway.

    `timeout_s` bounds the wait for a model, tries and pauses included: for a whole answer, or for each next piece of a
    streamed one. What does not ask a model is given 30 s. `connect_timeout_s` bounds the wait for a connection, 10 s unless
    said; over the swarm, where a gateway is found first, 30 s, and that comes before the other time. `max_retries` is how often a request is tried again, after a random pause or the one
    that the gateway asks for: what only looks something up where anything was away, a model where the gateway refused,
    and a change only where it was refused before it was begun. A gateway that asks for more than 5 s is not asked again.

    Over the swarm, `net` are other settings of the net than this machine's, and `say` is told of the driver's
    installation, on first use. `carrier` carries requests in another way altogether.

    Every method raises the errors of `hyperinfer.errors`: what the gateway refuses with, `Unavailable` if it cannot be
    reached, `DeadlineExceeded` if it does not answer in time. Where the gateway says when to come again, that is in
    `error.details["retry_after_s"]`.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        timeout_s: float = 600.0,
        connect_timeout_s: float | None = None,
        max_retries: int = 2,
        net: NetSettings | None = None,
        say: Callable[[str], None] = lambda _: None,
        carrier: Carrier | None = None,
    ) -> None:
        way = way_to(base_url, api_key)
        if carrier is None:
            carrier = carrier_to(way.gateway, connect_timeout_s=connect_timeout_s, net=net, say=say)
        self._timeout_s = timeout_s
        self._to_models = way.to_models
        self._transport = Transport(carrier, way.gateway, max_retries=max_retries)
        calls = Calls(self._transport, way.to_account)
        self.models = Models(Calls(self._transport, way.to_models))
        self.account = OwnAccount(calls)
        self.sessions = Sessions(calls)
        self.keys = Keys(calls)
        self.usage = OwnUsage(calls)
        self.admin = Admin(calls)

    @property
    def base_url(self) -> str:
        """The gateway's address."""
        return self._transport.address

    async def __aenter__(self) -> Self:
        await self._transport.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Hang up. A closed client stays closed; to close it again does nothing."""
        await self._transport.close()

    async def chat(self, prompt: Prompt, **options: Unpack[ChatOptions]) -> Answer:
        """A whole answer to a prompt or a conversation. Cancelling stops the model."""
        request = self._asking(CHAT, chat_body(prompt, options, stream=False), options)
        return answer_of(await self._transport.json(request, Completion, timeout_s=self._timeout_s))

    def stream(self, prompt: Prompt, **options: Unpack[ChatOptions]) -> AbstractAsyncContextManager[AnswerStream]:
        """An answer as it comes: `async with client.stream("…") as answer: async for piece in answer: …`.

        Leaving the block early stops the model.
        """
        return self._stream(prompt, options)

    async def complete(self, prompt: str, **options: Unpack[SampleOptions]) -> Answer:
        """A text gone on with, as it stands: no conversation is made of it. It is short unless `max_tokens` is said."""
        request = self._asking("/v1/completions", {"prompt": prompt} | fields(options), options)
        return answer_of(await self._transport.json(request, Completion, timeout_s=self._timeout_s))

    async def embed(self, texts: str | Sequence[str], **options: Unpack[EmbedOptions]) -> Embeddings:
        """A vector for each text, up to 2048 at once, by a model for embeddings."""
        inputs = [texts] if isinstance(texts, str) else list(texts)
        if not inputs:
            raise BadRequest("There is no text to embed.", param="texts")
        request = self._asking(
            "/v1/embeddings", {"input": inputs, "encoding_format": "base64"} | fields(options), options
        )
        return embeddings_of(await self._transport.json(request, EmbeddingList, timeout_s=self._timeout_s))

    async def inference(self, prompt: str, *, model: str | None = None, max_tokens: int | None = None) -> Inference:
        """One prompt and its answer, by the platform's own call, `POST /api/inference`."""
        body = {"prompt": prompt} | fields(SampleOptions(model=model, max_tokens=max_tokens))
        request = self._asking("/api/inference", body, ModelOptions())
        return (await self._transport.json(request, Inference, timeout_s=self._timeout_s)).content

    def _asking(self, path: str, body: dict[str, Any], options: ModelOptions) -> Request:
        return Request("POST", path, self._to_models(), Effect.WORK, body=body, headers=headers(options))

    @asynccontextmanager
    async def _stream(self, prompt: Prompt, options: ChatOptions) -> AsyncIterator[AnswerStream]:
        request = self._asking(CHAT, chat_body(prompt, options, stream=True), options)
        async with self._transport.events(request, timeout_s=self._timeout_s) as reply:
            stream = AnswerStream(reply)
            try:
                yield stream
            finally:
                await stream.aclose()

    def __reduce__(self) -> NoReturn:
        raise TypeError("A client cannot be pickled or copied: it holds connections. Make one in each process.")
