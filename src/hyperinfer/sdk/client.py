"""The client library over HTTP, for asyncio: `AsyncClient`."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Self, Unpack

import msgspec

from hyperinfer.errors import BackendFailed, BadRequest
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.sdk import profile
from hyperinfer.sdk.refusals import Refusal, from_event
from hyperinfer.sdk.replies import Answer, Key, Model, NewKey, Registered, Session, Usage
from hyperinfer.sdk.requests import ChatOptions, Prompt, base_url, chat_body
from hyperinfer.sdk.transport import Transport

CHAT = "/v1/chat/completions"
KEYS = "/api/auth/api-keys"
CALL_TIMEOUT_S = 30.0


class _Delta(msgspec.Struct, frozen=True):
    content: str | None = None


class _Choice(msgspec.Struct, frozen=True):
    index: int = 0
    delta: _Delta = _Delta()
    message: _Delta = _Delta()
    finish_reason: str | None = None


class _Completion(msgspec.Struct, frozen=True):
    """A completion or a chunk of one; `error` where a stream breaks off."""

    id: str = ""
    model: str = ""
    choices: tuple[_Choice, ...] = ()
    usage: Usage | None = None
    error: Refusal | None = None


class _Models(msgspec.Struct, frozen=True):
    models: tuple[Model, ...]


class _Keys(msgspec.Struct, frozen=True):
    data: tuple[Key, ...]


_decoder = msgspec.json.Decoder(_Completion)


class AnswerStream:
    """An answer as it comes: iterate for pieces of text; what is known of the whole is in `answer` at any time."""

    def __init__(self, batches: AsyncIterator[list[bytes]]) -> None:
        self._pieces = self._read(batches)
        self._text: list[str] = []
        self._last = _Completion()
        self._usage = Usage()
        self._finish_reason = ""

    @property
    def answer(self) -> Answer:
        """The answer as far as it has come; `finish_reason` is empty while more is to come."""
        return Answer(
            text="".join(self._text),
            model=self._last.model,
            finish_reason=self._finish_reason,
            usage=self._usage,
            id=self._last.id,
        )

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        """The next piece of text. Raises what broke the answer off, if it did."""
        return await anext(self._pieces)

    async def aclose(self) -> None:
        """Take no more of it."""
        await self._pieces.aclose()

    async def _read(self, batches: AsyncIterator[list[bytes]]) -> AsyncGenerator[str]:
        async for batch in batches:
            for event in batch:
                if piece := self._take(event):
                    self._text.append(piece)
                    yield piece
        if not self._finish_reason:
            raise BackendFailed("The answer ended without saying why.")

    def _take(self, event: bytes) -> str:
        chunk = _decode(event)
        if chunk.error is not None:
            raise from_event(chunk.error)
        self._last = chunk
        self._usage = chunk.usage or self._usage
        text = ""
        for choice in chunk.choices:
            if choice.index == 0:
                text += choice.delta.content or ""
                self._finish_reason = choice.finish_reason or self._finish_reason
        return text


class AsyncClient:
    """A gateway's API. Use it as an async context manager.

    Without arguments it takes gateway and credential from the local profile, which `hyperinfer up` and `hyperinfer
    login` write; with `base_url` alone, the credential that the profile holds for that gateway, if any. `timeout_s`
    bounds the wait for a model: for a whole answer, or for each next piece of a streamed one.

    Every method raises the errors of `hyperinfer.errors`: what the gateway refuses with, `Unavailable` if it cannot be
    reached, `DeadlineExceeded` if it does not answer in time.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        timeout_s: float = 600.0,
        connect_timeout_s: float = 10.0,
    ) -> None:
        address, key = _destination(base_url, api_key)
        self._timeout_s = timeout_s
        self._transport = Transport(address, key=key, connect_timeout_s=connect_timeout_s)

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
        reply = await self._transport.json("POST", CHAT, _Completion, body=body, timeout_s=self._timeout_s)
        if not reply.choices:
            raise BackendFailed("The answer holds no choice.")
        choice = reply.choices[0]
        return Answer(
            text=choice.message.content or "",
            model=reply.model,
            finish_reason=choice.finish_reason or "stop",
            usage=reply.usage or Usage(),
            id=reply.id,
        )

    def stream(self, prompt: Prompt, **options: Unpack[ChatOptions]) -> AbstractAsyncContextManager[AnswerStream]:
        """An answer as it comes: `async with client.stream("…") as answer: async for piece in answer: …`.

        Leaving the block early stops the model.
        """
        return self._stream(prompt, options)

    @asynccontextmanager
    async def _stream(self, prompt: Prompt, options: ChatOptions) -> AsyncIterator[AnswerStream]:
        body = chat_body(prompt, options, stream=True)
        async with self._transport.events(CHAT, body=body, timeout_s=self._timeout_s) as batches:
            stream = AnswerStream(batches)
            try:
                yield stream
            finally:
                await stream.aclose()

    async def models(self) -> tuple[Model, ...]:
        """The models that the swarm serves now."""
        reply = await self._transport.json("GET", "/api/models", _Models, timeout_s=CALL_TIMEOUT_S)
        return reply.models

    async def keys(self) -> tuple[Key, ...]:
        """The caller's API keys, newest first."""
        return (await self._transport.json("GET", KEYS, _Keys, timeout_s=CALL_TIMEOUT_S)).data

    async def create_key(self, name: str) -> NewKey:
        """A new API key; its secret is shown this once."""
        return await self._transport.json("POST", KEYS, NewKey, body={"name": name}, timeout_s=CALL_TIMEOUT_S)

    async def revoke_key(self, key_id: str) -> Key:
        """End an API key of the caller's, by its id."""
        if not key_id.replace("-", "").isalnum():
            raise BadRequest("A key's id is made of letters, digits and hyphens.")
        return await self._transport.json("DELETE", f"{KEYS}/{key_id}", Key, timeout_s=CALL_TIMEOUT_S)

    async def register(self, *, email: str, password: str, username: str | None = None) -> Registered:
        """Make an account; a username left out is made from the e-mail."""
        body = {"email": email, "password": password} | ({"username": username} if username else {})
        return await self._transport.json("POST", "/api/auth/register", Registered, body=body, timeout_s=CALL_TIMEOUT_S)

    async def login(self, name: str, password: str) -> Session:
        """Open a session; `name` is a username or an e-mail. The client itself goes on with what it was made with."""
        body = {"username": name, "password": password}
        return await self._transport.json("POST", "/api/auth/login", Session, body=body, timeout_s=CALL_TIMEOUT_S)


def _destination(address: str | None, key: str | None) -> tuple[str, str | None]:
    """Where to send requests and what to present there; a credential goes nowhere but to its own gateway."""
    if address is not None:
        address = base_url(address)
        if key is not None:
            return address, key
        known = profile.load().at(address)
        return address, known.credential(SystemClock().now()) if known else None
    account = profile.account_for(None)
    return account.gateway, key or account.credential(SystemClock().now())


def _decode(event: bytes) -> _Completion:
    try:
        return _decoder.decode(event)
    except msgspec.DecodeError as error:
        raise BackendFailed("A piece of the answer is not JSON as OpenAI's API has it.") from error
