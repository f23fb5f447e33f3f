"""The client library for code without asyncio: `Client`, the same calls run on an event loop in a thread of its own.

So it works in scripts, threads and notebooks alike; Ctrl-C cancels the call under way, which stops the model.
"""

from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from hyperinfer.sdk.answers import AnswerStream
from hyperinfer.sdk.blocking_groups import Groups
from hyperinfer.sdk.client import AsyncClient
from hyperinfer.sdk.replies import Answer
from hyperinfer.sdk.requests import ChatOptions, Prompt
from hyperinfer.sdk.thread import LoopThread

T = TypeVar("T")


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


class Client(Groups):
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
        super().__init__(self._client, self._run)

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
        return self._run(self._client.chat(prompt, **options))

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

    def _run(self, work: Coroutine[Any, Any, T], /) -> T:
        if self._thread is None:
            work.close()
            raise _not_entered()
        return self._thread.run(work)

    @property
    def _running(self) -> LoopThread:
        if self._thread is None:
            raise _not_entered()
        return self._thread


def _not_entered() -> RuntimeError:
    return RuntimeError("Use the client as a context manager, such as `with Client() as client:`.")
