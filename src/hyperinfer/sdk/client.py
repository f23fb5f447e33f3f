"""The client library over HTTP, for asyncio: `AsyncClient`."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Self, Unpack

from hyperinfer.sdk.answers import AnswerStream, Completion, answer_of
from hyperinfer.sdk.calls import Calls
from hyperinfer.sdk.groups.account import OwnAccount
from hyperinfer.sdk.groups.admin import Admin
from hyperinfer.sdk.groups.keys import Keys
from hyperinfer.sdk.groups.models import Models
from hyperinfer.sdk.groups.sessions import Sessions
from hyperinfer.sdk.groups.usage import OwnUsage
from hyperinfer.sdk.replies import Answer
from hyperinfer.sdk.requests import ChatOptions, Prompt, chat_body
from hyperinfer.sdk.transport import Transport
from hyperinfer.sdk.ways import way_to

CHAT = "/v1/chat/completions"


class AsyncClient:
    """A gateway's API. Use it as an async context manager.

    Without arguments it takes gateway and credentials from the local profile, which `hyperinfer up`, `hyperinfer
    register` and `hyperinfer login` write: models are asked under its API key if it holds one, all else is done in its
    session if there is one. With `base_url` alone it takes those that the profile holds for that gateway, if any.
    `api_key` is an API key, or a session's token, for everything. `timeout_s` bounds the wait for a model: for a whole
    answer, or for each next piece of a streamed one.

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
        connect_timeout_s: float = 10.0,
    ) -> None:
        way = way_to(base_url, api_key)
        self._timeout_s = timeout_s
        self._to_models = way.to_models
        self._transport = Transport(way.gateway, connect_timeout_s=connect_timeout_s)
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
        return self._transport.base_url

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._transport.__aexit__(kind, error, trace)

    async def chat(self, prompt: Prompt, **options: Unpack[ChatOptions]) -> Answer:
        """A whole answer to a prompt or a conversation. Cancelling stops the model."""
        body = chat_body(prompt, options, stream=False)
        completion = await self._transport.json(
            "POST", CHAT, Completion, credential=self._to_models(), body=body, timeout_s=self._timeout_s
        )
        return answer_of(completion)

    def stream(self, prompt: Prompt, **options: Unpack[ChatOptions]) -> AbstractAsyncContextManager[AnswerStream]:
        """An answer as it comes: `async with client.stream("…") as answer: async for piece in answer: …`.

        Leaving the block early stops the model.
        """
        return self._stream(prompt, options)

    @asynccontextmanager
    async def _stream(self, prompt: Prompt, options: ChatOptions) -> AsyncIterator[AnswerStream]:
        body = chat_body(prompt, options, stream=True)
        opening = self._transport.events(CHAT, credential=self._to_models(), body=body, timeout_s=self._timeout_s)
        async with opening as batches:
            stream = AnswerStream(batches)
            try:
                yield stream
            finally:
                await stream.aclose()
