"""Requests to one gateway, whatever carries them: typed JSON, text and event streams, bounded in size and time, tried again
where that is safe, refusals as errors of ours."""

import asyncio
import codecs
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager, closing
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

import msgspec

from hyperinfer.errors import BackendFailed, DeadlineExceeded, HyperinferError, PeerLost, TooLarge
from hyperinfer.facilities.clock import Clock, SystemClock
from hyperinfer.protocol.sse import EventReader
from hyperinfer.sdk.carriers import Carrier, Reply
from hyperinfer.sdk.refusals import from_reply
from hyperinfer.sdk.retries import Effect, pause_s

MAX_REPLY_BYTES = 64 * 1024 * 1024
MAX_REFUSAL_BYTES = 1024 * 1024
END_MARK = b"[DONE]"
CLOSED = "This client is closed; make another."

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `credential` may be empty; `effect` is what it would do to send it twice."""

    method: str
    path: str
    credential: str = field(repr=False)
    effect: Effect
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    query: Mapping[str, str] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def target(self) -> str:
        """Path and query."""
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path

    @property
    def content(self) -> bytes:
        """The body as JSON; empty where there is none."""
        return b"" if self.body is None else msgspec.json.encode(self.body)

    @property
    def all_headers(self) -> dict[str, str]:
        """Every header that it needs."""
        headers = dict(self.headers)
        if self.credential:
            headers["authorization"] = f"Bearer {self.credential}"
        if self.body is not None:
            headers["content-type"] = "application/json"
        return headers


@dataclass(frozen=True, slots=True)
class Whole(Generic[T]):
    """A whole reply: what it holds, and its headers."""

    content: T
    headers: Mapping[str, str]


class Transport:
    """A client of one gateway. It opens by itself with the first request, and belongs to the event loop of that."""

    def __init__(self, carrier: Carrier, address: str, *, max_retries: int, clock: Clock | None = None) -> None:
        self.address = address
        self._carrier = carrier
        self._max_retries = max_retries
        self._clock = clock or SystemClock()
        self._opening = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    async def open(self) -> None:
        """Be ready, if not yet. Raises `StartError`, and `RuntimeError` once closed or in another event loop."""
        if self._closed:
            raise RuntimeError(CLOSED)
        loop = asyncio.get_running_loop()
        if self._loop is None:
            async with self._opening:
                if self._loop is None:
                    await self._carrier.open()
                    self._loop = loop
        if self._loop is not loop:
            raise RuntimeError("This client was opened in another event loop; make one in each.")

    async def close(self) -> None:
        """End everything; nothing is left to do the second time."""
        opened, self._closed = self._loop is not None and not self._closed, True
        if opened:
            await self._carrier.close()

    async def json(self, request: Request, kind: type[T], *, timeout_s: float) -> Whole[T]:
        """A request and its typed reply.

        Raises what the gateway refuses with, `Unavailable` if it cannot be reached, `DeadlineExceeded`, `TooLarge`.
        """
        reply = await self.content(request, timeout_s=timeout_s)
        try:
            return Whole(msgspec.json.decode(reply.content, type=kind), reply.headers)
        except msgspec.DecodeError as error:
            raise BackendFailed(
                f"{self.address}{request.path} answered something else than expected: {error}."
            ) from error

    async def content(self, request: Request, *, timeout_s: float) -> Whole[bytes]:
        """A request and its reply as it is, every try within `timeout_s` in all. Raises as `json`."""

        async def once() -> Whole[bytes]:
            reply = await self._exchange(request)
            with closing(reply):
                return Whole(await _read(reply, MAX_REPLY_BYTES), reply.headers)

        return await self._repeated(once, request.effect, timeout_s)

    async def text(self, request: Request, *, timeout_s: float) -> AsyncGenerator[str]:
        """A reply of any length, in pieces as it comes; `timeout_s` bounds the wait for each. Raises as `json`."""
        reply = await self._repeated(lambda: self._exchange(request), request.effect, timeout_s)
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        with closing(reply):
            while True:
                async with self._within(timeout_s):
                    piece = await reply.piece()
                if not piece:
                    return
                yield decoder.decode(piece)

    @asynccontextmanager
    async def events(self, request: Request, *, timeout_s: float) -> AsyncIterator[Whole[AsyncIterator[list[bytes]]]]:
        """A request answered by server-sent events: the data of each, in batches as they arrive.

        `timeout_s` bounds the wait for the first event and for every further one. Leaving early hangs up, which stops
        the work at the other end. Raises as `json` does, and `PeerLost` for a stream that ends without its end mark.
        """
        reply = await self._repeated(lambda: self._exchange(request), request.effect, timeout_s)
        with closing(reply):
            async with aclosing(self._batches(reply, timeout_s)) as batches:
                yield Whole(batches, reply.headers)

    async def _batches(self, reply: Reply, timeout_s: float) -> AsyncGenerator[list[bytes]]:
        reader = EventReader()
        while True:
            async with self._within(timeout_s):
                piece = await reply.piece()
            if not piece:
                raise PeerLost("The answer broke off: the connection ended before its end.")
            batch = reader.feed(piece)
            if batch and batch[-1] == END_MARK:
                yield batch[:-1]
                return
            yield batch

    async def _repeated(self, once: Callable[[], Awaitable[T]], effect: Effect, timeout_s: float) -> T:
        """Try, and try again where that may help; a pause that would outlast the deadline is not made."""
        await self.open()  # outside the deadline: a driver that is installed and a gateway that is found have their own
        await self._carrier.reach()
        deadline = self._clock.monotonic() + timeout_s
        tried = 0
        async with self._within(timeout_s):
            while True:
                try:
                    return await once()
                except HyperinferError as error:
                    wait_s = pause_s(error, effect, tried=tried) if tried < self._max_retries else None
                    if wait_s is None or self._clock.monotonic() + wait_s >= deadline:
                        raise
                await self._clock.sleep(wait_s)
                tried += 1

    async def _exchange(self, request: Request) -> Reply:
        """Send a request. Raises what it is refused with."""
        reply = await self._carrier.exchange(request.method, request.target, request.all_headers, request.content)
        if reply.status >= 300:
            with closing(reply):
                raise from_reply(reply.status, await _read(reply, MAX_REFUSAL_BYTES), reply.headers)
        return reply

    @asynccontextmanager
    async def _within(self, timeout_s: float) -> AsyncIterator[None]:
        """A deadline."""
        try:
            async with asyncio.timeout(timeout_s):
                yield
        except TimeoutError as error:
            raise DeadlineExceeded(f"{self.address} did not answer in time.") from error


async def _read(reply: Reply, limit_bytes: int) -> bytes:
    content = bytearray()
    while piece := await reply.piece():
        content += piece
        if len(content) > limit_bytes:
            raise TooLarge("The server's answer is too large.", limit_bytes=limit_bytes)
    return bytes(content)
