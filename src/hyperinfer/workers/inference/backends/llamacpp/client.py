"""HTTP to one engine process, over its Unix socket: what it is, and chats as they come."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
import msgspec

from hyperinfer.contracts.openai import Chunk, ChunkChoice, CompletionUsage, Delta
from hyperinfer.errors import BackendFailed, TooLarge
from hyperinfer.protocol.sse import EventReader
from hyperinfer.workers.inference.backends import Emit, End
from hyperinfer.workers.inference.backends.llamacpp import wire

BASE = "http://engine"
DONE = b"[DONE]"
CONNECT_TIMEOUT_S = 5.0
PROPS_TIMEOUT_S = 10.0
MAX_ERROR_BYTES = 64 * 1024

_chunk = msgspec.json.Decoder(Chunk)
_props = msgspec.json.Decoder(wire.EngineProps)


class EngineStalled(BackendFailed):
    """The engine said nothing for too long, so that it has to be started again."""


class EngineLost(BackendFailed):
    """The connection to the engine broke; `begun` says whether the engine had the request by then."""

    def __init__(self, message: str, *, begun: bool) -> None:
        super().__init__(message)
        self.begun = begun


class EngineClient:
    """Talks to one engine process, for as long as the block lasts."""

    def __init__(self, socket: Path, key: str, *, stall_timeout_s: float) -> None:
        self._socket = socket
        self._key = key
        self._stall_timeout_s = stall_timeout_s
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            # A connection for each request: the engine closes kept ones in the very moment in which they are used again.
            connector=aiohttp.UnixConnector(str(self._socket), force_close=True, limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"authorization": f"Bearer {self._key}", "content-type": "application/json"},
            timeout=aiohttp.ClientTimeout(sock_connect=CONNECT_TIMEOUT_S, sock_read=self._stall_timeout_s),
            auto_decompress=False,
            skip_auto_headers=("accept-encoding", "user-agent"),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def props(self) -> wire.EngineProps:
        """What the engine says of itself. Raises `BackendFailed`."""
        timeout = aiohttp.ClientTimeout(total=PROPS_TIMEOUT_S)
        try:
            async with self._session.get(f"{BASE}/props", timeout=timeout, allow_redirects=False) as reply:
                return _props.decode(await reply.read())
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
            raise BackendFailed(f"The engine does not say what it is: {error}") from error

    async def chat(self, body: bytes, emit: Emit) -> End:
        """Have a request answered; leaving it early closes the connection, upon which the engine stops.

        Raises what `wire.refusal` makes of a refusal, `BackendFailed`, `EngineLost`, `EngineStalled`.
        """
        try:
            async with self._session.post(f"{BASE}/v1/chat/completions", data=body, allow_redirects=False) as reply:
                if reply.status != 200:
                    raise wire.refusal(reply.status, await reply.content.read(MAX_ERROR_BYTES))
                return await self._answer(reply.content, emit)
        except TimeoutError as error:
            raise EngineStalled(f"The engine said nothing for {self._stall_timeout_s:g} s.") from error
        except aiohttp.ClientConnectorError as error:
            raise EngineLost("The engine is not there.", begun=False) from error
        except aiohttp.ClientError as error:
            raise EngineLost("The engine broke off its answer.", begun=True) from error

    async def _answer(self, content: aiohttp.StreamReader, emit: Emit) -> End:
        reading = Reading()
        while not reading.done:
            piece = await content.readany()
            if not piece:
                raise BackendFailed("The engine's answer ended without its end mark.")
            if deltas := reading.take(piece):
                await emit(deltas)
        return reading.end()


class Reading:
    """One answer as it comes: bytes in, deltas out, and in the end how it ended. No I/O."""

    def __init__(self) -> None:
        self._events = EventReader()
        self._finish_reason: str | None = None
        self._usage: CompletionUsage | None = None
        self.done = False

    def take(self, piece: bytes) -> Sequence[Delta]:
        """The deltas in this piece. Raises `BackendFailed` for what is no chunk, and for a failure the engine reports."""
        deltas: list[Delta] = []
        try:
            for data in self._events.feed(piece):
                if data == DONE:
                    self.done = True
                    break
                self._take_chunk(_chunk.decode(data), deltas)
        except (msgspec.DecodeError, UnicodeDecodeError, TooLarge) as error:
            raise BackendFailed("The engine's answer makes no sense.") from error
        return deltas

    def end(self) -> End:
        """How it ended. Raises `BackendFailed` if it did not say."""
        if self._finish_reason is None or self._usage is None:
            raise BackendFailed("The engine's answer ended without a reason or its usage.")
        return End(finish_reason=self._finish_reason, usage=self._usage)

    def _take_chunk(self, chunk: Chunk, deltas: list[Delta]) -> None:
        if chunk.error is not None:
            raise BackendFailed("The engine failed in mid-answer.")
        if chunk.usage is not None:
            self._usage = chunk.usage
        if chunk.choices:
            self._take_choice(chunk.choices[0], deltas)

    def _take_choice(self, choice: ChunkChoice, deltas: list[Delta]) -> None:
        delta = choice.delta
        if delta.content or delta.reasoning_content:
            deltas.append(delta)
        if choice.finish_reason is not None:
            self._finish_reason = choice.finish_reason
