"""The client library for code without asyncio: `Client`, the same calls run on an event loop in a thread of its own.

So it works in scripts, threads and notebooks alike; Ctrl-C cancels the call under way, which stops the model.
"""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from hyperinfer.sdk.client import AnswerStream, AsyncClient
from hyperinfer.sdk.replies import Answer, Key, Model, NewKey, Registered, Session
from hyperinfer.sdk.requests import ChatOptions, Prompt

T = TypeVar("T")


class LoopThread:
    """An event loop in a thread, to which coroutines are handed and whose results are waited for."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="hyperinfer client", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The coroutine's result; a KeyboardInterrupt while waiting cancels it."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """End the loop and the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class TextStream:
    """An answer as it comes: iterate for pieces of text; what is known of the whole is in `answer` at any time."""

    def __init__(self, thread: LoopThread, stream: AnswerStream) -> None:
        self._thread = thread
        self._stream = stream

    @property
    def answer(self) -> Answer:
        """The answer as far as it has come; `finish_reason` is empty while more is to come."""
        return self._stream.answer

    def __iter__(self) -> Iterator[str]:
        """Pieces of text. Raises what broke the answer off, if it did."""
        while piece := self._thread.run(_next(self._stream)):
            yield piece


async def _next(stream: AnswerStream) -> str:
    return await anext(stream, "")


class Client:
    """A gateway's API, as `AsyncClient` has it, without asyncio. Use it as a context manager."""

    def __init__(
        self,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        timeout_s: float = 600.0,
        connect_timeout_s: float = 10.0,
    ) -> None:
        self._client = AsyncClient(base_url, api_key=api_key, timeout_s=timeout_s, connect_timeout_s=connect_timeout_s)
        self._thread: LoopThread | None = None

    @property
    def base_url(self) -> str:
        """The gateway's address."""
        return self._client.base_url

    def __enter__(self) -> Self:
        self._thread = LoopThread()
        self._thread.run(self._client.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        thread, self._thread = self._running, None
        try:
            thread.run(self._client.__aexit__(kind, error, trace))
        finally:
            thread.close()

    def chat(self, prompt: Prompt, **options: Unpack[ChatOptions]) -> Answer:
        """A whole answer to a prompt or a conversation."""
        return self._running.run(self._client.chat(prompt, **options))

    @contextmanager
    def stream(self, prompt: Prompt, **options: Unpack[ChatOptions]) -> Iterator[TextStream]:
        """An answer as it comes: `with client.stream("…") as answer: for piece in answer: …`.

        Leaving the block early stops the model.
        """
        opening = self._client.stream(prompt, **options)
        thread = self._running
        stream = thread.run(opening.__aenter__())
        try:
            yield TextStream(thread, stream)
        finally:
            thread.run(opening.__aexit__(None, None, None))

    def models(self) -> tuple[Model, ...]:
        """The models that the swarm serves now."""
        return self._running.run(self._client.models())

    def keys(self) -> tuple[Key, ...]:
        """The caller's API keys, newest first."""
        return self._running.run(self._client.keys())

    def create_key(self, name: str) -> NewKey:
        """A new API key; its secret is shown this once."""
        return self._running.run(self._client.create_key(name))

    def revoke_key(self, key_id: str) -> Key:
        """End an API key of the caller's, by its id."""
        return self._running.run(self._client.revoke_key(key_id))

    def register(self, *, email: str, password: str, username: str | None = None) -> Registered:
        """Make an account; a username left out is made from the e-mail."""
        return self._running.run(self._client.register(email=email, password=password, username=username))

    def login(self, name: str, password: str) -> Session:
        """Open a session; `name` is a username or an e-mail. The client itself goes on with what it was made with."""
        return self._running.run(self._client.login(name, password))

    @property
    def _running(self) -> LoopThread:
        if self._thread is None:
            raise RuntimeError("Use the client as a context manager, such as `with Client() as client:`.")
        return self._thread
