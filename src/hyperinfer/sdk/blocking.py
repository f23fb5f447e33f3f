"""The client library for code without asyncio: `Client`, the same calls run on an event loop in a thread of its own.

So it works in scripts, threads and notebooks alike; Ctrl-C cancels the call under way, which stops the model.
"""

import threading
import weakref
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, NoReturn, Self, TypeVar, Unpack

from hyperinfer.facilities.net.settings import NetSettings
from hyperinfer.sdk.answers import AnswerStream
from hyperinfer.sdk.blocking_groups import Groups
from hyperinfer.sdk.carriers import Carrier
from hyperinfer.sdk.client import AsyncClient
from hyperinfer.sdk.replies import Answer, Embeddings, Inference
from hyperinfer.sdk.requests import ChatOptions, EmbedOptions, Prompt, SampleOptions
from hyperinfer.sdk.thread import LoopThread
from hyperinfer.sdk.transport import CLOSED

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

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        """The next piece of text. Raises what broke the answer off, if it did."""
        piece = self._thread.run(_next(self._stream))
        if not piece:
            raise StopIteration
        return piece


async def _next(stream: AnswerStream) -> str:
    return await anext(stream, "")


class Client(Groups):
    """A gateway's API, as `AsyncClient` has it, without asyncio. Use it as a context manager, or `close` it yourself.

    It may be used from several threads at once, and inside a running event loop (a notebook). A process that is forked
    makes its own.
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
        self._client = AsyncClient(
            base_url,
            api_key=api_key,
            timeout_s=timeout_s,
            connect_timeout_s=connect_timeout_s,
            max_retries=max_retries,
            net=net,
            say=say,
            carrier=carrier,
        )
        self._starting = threading.Lock()
        self._thread: LoopThread | None = None
        self._abandon: weakref.finalize[[], Client] | None = None
        self._closed = False
        super().__init__(self._client, self._run)

    @property
    def base_url(self) -> str:
        """The gateway's address."""
        return self._client.base_url

    def __enter__(self) -> Self:
        self._run(self._client.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up. A closed client stays closed; to close it again does nothing."""
        with self._starting:
            self._closed = True
            thread, self._thread = self._thread, None
        if thread is None or self._abandon is None:
            return
        self._abandon.detach()
        try:
            thread.run(self._client.close())
        finally:
            thread.close()

    def chat(self, prompt: Prompt, **options: Unpack[ChatOptions]) -> Answer:
        """A whole answer to a prompt or a conversation. Ctrl-C stops the model."""
        return self._run(self._client.chat(prompt, **options))

    @contextmanager
    def stream(self, prompt: Prompt, **options: Unpack[ChatOptions]) -> Iterator[TextStream]:
        """An answer as it comes: `with client.stream("…") as answer: for piece in answer: …`.

        Leaving the block early stops the model.
        """
        opening = self._client.stream(prompt, **options)
        thread = self._running()
        stream = thread.run(opening.__aenter__())
        try:
            yield TextStream(thread, stream)
        finally:
            thread.run(opening.__aexit__(None, None, None))

    def complete(self, prompt: str, **options: Unpack[SampleOptions]) -> Answer:
        """A text gone on with, as it stands: no conversation is made of it. It is short unless `max_tokens` is said."""
        return self._run(self._client.complete(prompt, **options))

    def embed(self, texts: str | Sequence[str], **options: Unpack[EmbedOptions]) -> Embeddings:
        """A vector for each text, up to 2048 at once, by a model for embeddings."""
        return self._run(self._client.embed(texts, **options))

    def inference(self, prompt: str, *, model: str | None = None, max_tokens: int | None = None) -> Inference:
        """One prompt and its answer, by the platform's own call, `POST /api/inference`."""
        return self._run(self._client.inference(prompt, model=model, max_tokens=max_tokens))

    def _run(self, work: Coroutine[Any, Any, T], /) -> T:
        try:
            thread = self._running()
        except RuntimeError:
            work.close()
            raise
        return thread.run(work)

    def _running(self) -> LoopThread:
        """The thread, started now if it is not there yet. Raises `RuntimeError` once closed."""
        with self._starting:
            if self._closed:
                raise RuntimeError(CLOSED)
            if self._thread is None:
                thread, client = LoopThread(), self._client
                self._thread = thread
                self._abandon = weakref.finalize(self, lambda: thread.abandon(client.close()))
            return self._thread

    def __reduce__(self) -> NoReturn:
        raise TypeError("A client cannot be pickled or copied: it holds connections. Make one in each process.")
