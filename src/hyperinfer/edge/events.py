"""One answer as a stream of events, to a client that may hang up or stop reading at any time."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import msgspec
from starlette.types import Receive, Send

from hyperinfer.contracts.gateway import Head
from hyperinfer.edge.dialects import AnswerForm
from hyperinfer.edge.request import watch
from hyperinfer.edge.responses import head_headers
from hyperinfer.errors import HyperinferError, StreamStalled

STALL_S = 60.0
"""How long a client may take nothing of a stream before it is given up."""
LOOK_EVERY_S = 5.0
"""How often that is looked at; a deadline for each write would cost more than the write."""

_head = msgspec.json.Decoder(Head)


class EventStream:
    """The events of one answer; status and headers go with the first chunk, so that a refusal still can."""

    def __init__(self, send: Send, form: AnswerForm) -> None:
        self._send = send
        self._form = form
        self._loop = asyncio.get_running_loop()
        self._started = False
        self._writing_since: float | None = None

    async def push(self, chunks: Sequence[bytes]) -> None:
        """Send chunks as one message, when the client has taken what came before; the very first is the `Head`."""
        if not self._started:
            await self._start(_head.decode(chunks[0]))
            chunks = chunks[1:]
        if chunks and (body := self._form.chunks(chunks)):
            await self._write(body, more=True)

    async def end(self) -> None:
        """Say that the answer is whole."""
        await self._write(self._form.end(), more=False)

    async def fail(self, error: HyperinferError) -> None:
        """Say that the answer is broken off, and why. Before the first chunk it is the request that fails."""
        if not self._started:
            raise error
        if not isinstance(error, StreamStalled):
            with suppress(TimeoutError):
                async with asyncio.timeout(STALL_S):
                    await self._write(self._form.failed(error), more=False)

    async def watch(self, receive: Receive) -> None:
        """Wait for the client to hang up or to stop reading; raises `ClientGone` or `StreamStalled`."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await watch(receive)
            if self._writing_since is not None and self._loop.time() - self._writing_since > STALL_S:
                raise StreamStalled("The client took nothing of the stream for too long.")

    async def _start(self, head: Head) -> None:
        self._started = True
        headers = [
            (b"content-type", self._form.stream_type),
            (b"cache-control", b"no-cache"),
            (b"x-accel-buffering", b"no"),
            *head_headers(head),
        ]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    async def _write(self, body: bytes, *, more: bool) -> None:
        self._writing_since = self._loop.time()
        await self._send({"type": "http.response.body", "body": body, "more_body": more})
        self._writing_since = None
