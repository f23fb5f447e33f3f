"""HTTP to one engine process, over its Unix socket: what it is, and chats as they come."""

from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
import msgspec

from hyperinfer.errors import BackendFailed
from hyperinfer.workers.inference.backends import Emit, End
from hyperinfer.workers.inference.backends.chunks import ChunkReader
from hyperinfer.workers.inference.backends.llamacpp import wire

BASE = "http://engine"
CONNECT_TIMEOUT_S = 5.0
PROPS_TIMEOUT_S = 10.0
MAX_ERROR_BYTES = 64 * 1024

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
        reading = ChunkReader("The engine")
        while not reading.done:
            piece = await content.readany()
            if not piece:
                raise BackendFailed("The engine's answer ended without its end mark.")
            if pieces := reading.take(piece):
                await emit(pieces)
        return reading.end()
