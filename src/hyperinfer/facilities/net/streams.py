"""The serving side of streamed and cancellable calls: sinks with credit, and what peers say about running calls."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from hyperinfer.contracts.method import Envelope
from hyperinfer.errors import BadRequest, Cancelled, StreamStalled, TooLarge
from hyperinfer.facilities.net import Link
from hyperinfer.protocol import streams
from hyperinfer.protocol.streams import StreamId
from hyperinfer.protocol.typed_json import UNREADABLE

MAX_CHUNKS_BYTES = 8 * 1024 * 1024
"""What the chunks of one event hold together at most."""


class Sink:
    """Where a handler puts the chunks of one stream. What is sent in one turn of the event loop goes as one event."""

    def __init__(
        self, link: Link, method: str, stream_id: StreamId, window: int | None, stall_timeout_s: float
    ) -> None:
        self._link = link
        self._event = method + streams.CHUNK
        self._sending = streams.Sending(stream_id, window)
        self._stall_timeout_s = stall_timeout_s
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0
        self._credit = asyncio.Event()
        self._flush_due = False

    async def send(self, chunks: Sequence[bytes]) -> None:
        """Send chunks, each one raw JSON; returns when more may be sent.

        Raises `StreamStalled` if the reader grants nothing for too long, `TooLarge` for more at once than a message holds.
        """
        start = 0
        while start < len(chunks):
            allowed = self._sending.allowed(len(chunks) - start)
            if not allowed:
                await self._wait(self._granted())
                continue
            self._put(chunks[start : start + allowed])
            start += allowed
        if self._link.congested:
            await self._wait(self._link.writable())

    def grant(self, chunks: int) -> None:
        """The reader has given credit."""
        self._sending.granted(chunks)
        self._credit.set()

    def flush(self) -> None:
        """Send what waits for the end of this turn."""
        self._flush_due = False
        if self._unsent:
            unsent, self._unsent, self._unsent_bytes = self._unsent, [], 0
            self._link.event(self._event, self._sending.event(unsent))

    def _put(self, chunks: Sequence[bytes]) -> None:
        size = sum(map(len, chunks))
        if size > MAX_CHUNKS_BYTES:
            raise TooLarge("The chunks of a stream are too large to be sent together.", limit_bytes=MAX_CHUNKS_BYTES)
        if self._unsent_bytes + size > MAX_CHUNKS_BYTES:
            self.flush()
        self._unsent += chunks
        self._unsent_bytes += size
        if not self._flush_due:
            self._flush_due = True
            asyncio.get_running_loop().call_soon(self.flush)

    async def _granted(self) -> None:
        self._credit.clear()
        await self._credit.wait()

    async def _wait(self, ready: Any) -> None:
        try:
            async with asyncio.timeout(self._stall_timeout_s):
                await ready
        except TimeoutError as error:
            raise StreamStalled(f"The reader of this stream took nothing for {self._stall_timeout_s:g} s.") from error


class _Running:
    """One call that can be cancelled."""

    __slots__ = ("cancelled", "sink", "task")

    def __init__(self, sink: Sink | None) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.task = task
        self.sink = sink
        self.cancelled = False


class Streams:
    """The calls of one endpoint that run now, by link and id, so that `.more` and `.cancel` reach them."""

    def __init__(self, *, stall_timeout_s: float) -> None:
        self._stall_timeout_s = stall_timeout_s
        self._running: dict[tuple[Link, StreamId], _Running] = {}

    @asynccontextmanager
    async def open(self, link: Link, method: str, envelope: Envelope) -> AsyncIterator[Sink | None]:
        """Let a call be cancelled by its peer while the block lasts, and give its sink if it asked for a stream.

        A cancelled block raises `Cancelled`. Raises `BadRequest` for an id that is in use on this link.
        """
        if envelope.id is None:
            if envelope.stream:
                raise BadRequest("A streamed call needs an id.", param="id")
            yield None
            return
        at = (link, envelope.id)
        if at in self._running:
            raise BadRequest("This id belongs to a call that still runs.", param="id")
        sink = Sink(link, method, envelope.id, envelope.window, self._stall_timeout_s) if envelope.stream else None
        running = self._running[at] = _Running(sink)
        try:
            yield sink
        except asyncio.CancelledError:
            if running.cancelled and running.task.uncancel() == 0:
                raise Cancelled("The caller cancelled this call.") from None
            raise
        finally:
            del self._running[at]
            if sink is not None:
                sink.flush()

    def on_event(self, link: Link, method: str, payload: bytes) -> None:
        """A peer grants credit or cancels; what makes no sense, or comes too late, is passed over."""
        try:
            if method.endswith(streams.MORE):
                more = streams.decode_more(payload)
                running = self._running.get((link, more.id))
                if running is not None and running.sink is not None:
                    running.sink.grant(more.n)
            elif method.endswith(streams.CANCEL):
                at = (link, streams.decode_cancel(payload).id)
                if at in self._running:
                    self._cancel(at)
                else:  # it may have come together with its call, which has a task by now and begins before this
                    asyncio.get_running_loop().call_soon(self._cancel, at)
        except UNREADABLE:
            return

    def _cancel(self, at: tuple[Link, StreamId]) -> None:
        running = self._running.get(at)
        if running is not None and not running.cancelled:
            running.cancelled = True
            running.task.cancel()
