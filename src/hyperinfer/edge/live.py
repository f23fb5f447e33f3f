"""Answers that go on: what a stream of the gateway's brings is written as it comes, until the client has gone."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hyperinfer.edge.errors import body_of
from hyperinfer.edge.request import ClientGone, watch
from hyperinfer.errors import DeadlineExceeded, HyperinferError
from hyperinfer.facilities.tasks import background
from hyperinfer.kernel import calls

LASTS_S = 3600.0
"""How long such an answer goes on at most: as long as any call may. Then it ends well, and who wants more asks again."""
BEGIN_S = 1.0
"""How long its status waits for the first chunk: within that time a refusal still has a status of its own."""
BEAT_S = 15.0
"""How often a sign of life goes out where nothing else does: what stands between would take it for dead."""
TAKE_S = 60.0
"""How long a client may take nothing."""


class Form(Protocol):
    """How the chunks of a stream are written."""

    media: str
    beat: bytes
    """A sign of life, that a reader passes over."""

    def chunks(self, chunks: Sequence[bytes]) -> bytes:
        """Some of them."""

    def end(self) -> bytes:
        """What says that this is all."""

    def failed(self, error: HyperinferError) -> bytes:
        """What says that it broke off, and why."""


class Live(Response):
    """The chunks that `stream` gives to the sink that it is called with. The client's going away cancels it; one that reads
    slowly holds it back, and one that reads nothing for too long is given up."""

    def __init__(self, stream: Callable[[calls.Send], Awaitable[None]], form: Form) -> None:
        super().__init__(media_type=form.media, headers={"x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._stream = stream
        self._form = form

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        writing = _Writing(self, send, self._form, head_only=scope["method"] == "HEAD")
        try:
            async with (
                background(watch(receive), name="client"),
                background(writing.keep_alive(), name="signs of life"),
            ):
                await self._stream(writing.push)
        except HyperinferError as error:
            if not writing.started:
                raise
            # The hour is over, which is no failure: whoever reads may ask again.
            ended = isinstance(error, DeadlineExceeded)
            await writing.last(self._form.end() if ended else self._form.failed(error))
        else:
            await writing.last(self._form.end())


class _Writing:
    """One such answer on its way out: one write at a time, each within its deadline."""

    def __init__(self, response: Response, send: Send, form: Form, *, head_only: bool) -> None:
        self._response = response
        self._send = send
        self._form = form
        self._head_only = head_only
        self._turn = asyncio.Lock()
        self._written = asyncio.Event()
        self.started = False

    async def push(self, chunks: Sequence[bytes]) -> None:
        """Write chunks, once the client has taken what came before."""
        await self._write(self._form.chunks(chunks))

    async def last(self, body: bytes) -> None:
        """Write the end."""
        await self._write(body, more=False)

    async def keep_alive(self) -> None:
        """Begin if nothing has come, and show life where nothing comes."""
        wait_s = BEGIN_S
        while True:
            self._written.clear()
            try:
                async with asyncio.timeout(wait_s):
                    await self._written.wait()
            except TimeoutError:
                await self._write(self._form.beat)
            wait_s = BEAT_S

    async def _write(self, body: bytes, *, more: bool = True) -> None:
        if not body and self.started and more:
            return
        async with self._turn:
            try:
                async with asyncio.timeout(TAKE_S):
                    await self._begin()
                    await self._send({"type": "http.response.body", "body": body, "more_body": more})
            except TimeoutError as error:
                raise ClientGone from error
        self._written.set()

    async def _begin(self) -> None:
        if self.started:
            return
        self.started = True
        headers = self._response.raw_headers
        await self._send({"type": "http.response.start", "status": self._response.status_code, "headers": headers})
        if self._head_only:
            await self._send({"type": "http.response.body", "body": b""})
            raise ClientGone


class Events:
    """Server-sent events, each chunk one; after the last comes `[DONE]`, unless an error does.

    Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
    """

    media = "text/event-stream"
    beat = b": alive\n\n"

    def __init__(self, shown: Callable[[bytes], bytes]) -> None:
        self._shown = shown

    def chunks(self, chunks: Sequence[bytes]) -> bytes:
        """An event for each."""
        return b"".join(b"data: %b\n\n" % self._shown(chunk) for chunk in chunks)

    def end(self) -> bytes:
        """The end mark."""
        return b"data: [DONE]\n\n"

    def failed(self, error: HyperinferError) -> bytes:
        """The error in the shape of every other."""
        return b"data: %b\n\n" % body_of(error)
