"""HTTP to one engine process, over its Unix socket: what it is, and answers as they come."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, TypeVar

import aiohttp
import msgspec

from hyperinfer.contracts.openai import ChunkChoice
from hyperinfer.errors import BackendFailed, HyperinferError, Unsupported
from hyperinfer.workers.inference.backends import Emit, End
from hyperinfer.workers.inference.backends.chunks import ChunkReader
from hyperinfer.workers.inference.backends.llamacpp.wire import said, texts

BASE = "http://engine"
CONNECT_TIMEOUT_S = 5.0
PROPS_TIMEOUT_S = 10.0
MAX_ERROR_BYTES = 64 * 1024
MAX_REPLY_BYTES = 64 * 1024 * 1024
SLOWEST_PER_S = 20
"""Characters or tokens a second that a large model embeds on a slow machine."""
PROBE = b'{"input_prefix":"a","input_suffix":"b","n_predict":0,"stream":false}'

T = TypeVar("T")

_props = msgspec.json.Decoder(said.EngineProps)
_rendered = msgspec.json.Decoder(said.Rendered)
_tokenized = msgspec.json.Decoder(said.Tokenized)
_vectors = msgspec.json.Decoder(said.Vectors)


class EngineStalled(BackendFailed):
    """The engine said nothing for too long, so that it has to be started again."""


class EngineLost(BackendFailed):
    """The connection to the engine broke; `begun` says whether the engine had the request by then."""

    def __init__(self, message: str, *, begun: bool) -> None:
        super().__init__(message)
        self.begun = begun


class Reader(Protocol):
    """Makes pieces of an answer from bytes."""

    @property
    def done(self) -> bool: ...

    def take(self, piece: bytes) -> Sequence[ChunkChoice]: ...

    def end(self) -> End: ...


class EngineClient:
    """Talks to one engine process, for as long as the block lasts.

    Leaving a request early closes its connection, upon which the engine stops. All requests raise what `said.refusal` makes
    of a refusal, `BackendFailed`, `EngineLost`, `EngineStalled`; `param` is the request's field that holds the prompt.
    """

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
            auto_decompress=False,
            skip_auto_headers=("accept-encoding", "user-agent"),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def props(self) -> said.EngineProps:
        """What the engine says of itself. Raises `BackendFailed`."""
        timeout = aiohttp.ClientTimeout(total=PROPS_TIMEOUT_S)
        try:
            async with self._session.get(f"{BASE}/props", timeout=timeout, allow_redirects=False) as reply:
                return _props.decode(await reply.read())
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
            raise BackendFailed(f"The engine does not say what it is: {error}") from error

    async def fills_in(self) -> bool:
        """Whether the model has tokens for what is before and after a place to be filled."""
        try:
            await self._whole("/infill", PROBE, "suffix")
        except Unsupported:
            return False
        return True

    async def chat(self, body: bytes, emit: Emit) -> End:
        """Have a chat answered."""
        return await self._streamed("/v1/chat/completions", body, ChunkReader("The engine"), emit, "messages")

    async def complete(self, body: bytes, emit: Emit, param: str = "prompt") -> End:
        """Have a text gone on with."""
        return await self._streamed("/completion", body, texts.TextReader(), emit, param)

    async def fill_in(self, body: bytes, emit: Emit) -> End:
        """Have the place between two texts filled."""
        return await self._streamed("/infill", body, texts.TextReader(), emit, "prompt")

    async def render(self, body: bytes) -> str:
        """A chat as the model's template writes it."""
        return (await self._read("/apply-template", body, _rendered, "messages")).prompt

    async def count(self, text: str) -> int:
        """How many tokens a text has for the model, with those that it adds itself."""
        return len((await self._read("/tokenize", texts.words(text), _tokenized, "input")).tokens)

    async def embed(self, inputs: Sequence[str | tuple[int, ...]]) -> said.Vectors:
        """Have a few texts embedded. Leaving early does not stop this, and the engine says nothing before it is done."""
        longer_s = sum(map(len, inputs)) / SLOWEST_PER_S
        return await self._read("/v1/embeddings", texts.inputs(inputs), _vectors, "input", longer_s=longer_s)

    async def _streamed(self, path: str, body: bytes, reading: Reader, emit: Emit, param: str) -> End:
        async def read(content: aiohttp.StreamReader) -> End:
            while not reading.done:
                piece = await content.readany()
                if not piece:
                    raise BackendFailed("The engine's answer ended without its end mark.")
                if pieces := reading.take(piece):
                    await emit(pieces)
            return reading.end()

        return await self._posted(path, body, read, param)

    async def _read(
        self, path: str, body: bytes, decoder: msgspec.json.Decoder[T], param: str, *, longer_s: float = 0.0
    ) -> T:
        try:
            return decoder.decode(await self._whole(path, body, param, longer_s=longer_s))
        except msgspec.DecodeError as error:
            raise BackendFailed("The engine's answer makes no sense.") from error

    async def _whole(self, path: str, body: bytes, param: str, *, longer_s: float = 0.0) -> bytes:
        async def read(content: aiohttp.StreamReader) -> bytes:
            taken = bytearray()
            while piece := await content.readany():
                taken += piece
                if len(taken) > MAX_REPLY_BYTES:
                    raise BackendFailed("The engine's answer does not end.")
            return bytes(taken)

        return await self._posted(path, body, read, param, longer_s=longer_s)

    async def _posted(
        self,
        path: str,
        body: bytes,
        read: Callable[[aiohttp.StreamReader], Awaitable[T]],
        param: str,
        *,
        longer_s: float = 0.0,
    ) -> T:
        silent_s = self._stall_timeout_s + longer_s
        timeout = aiohttp.ClientTimeout(sock_connect=CONNECT_TIMEOUT_S, sock_read=silent_s)
        try:
            async with self._session.post(BASE + path, data=body, timeout=timeout, allow_redirects=False) as reply:
                if reply.status != 200:
                    raise await _refused(reply, param)
                return await read(reply.content)
        except TimeoutError as error:
            raise EngineStalled(f"The engine said nothing for {silent_s:g} s.") from error
        except aiohttp.ClientConnectorError as error:
            raise EngineLost("The engine is not there.", begun=False) from error
        except aiohttp.ClientError as error:
            raise EngineLost("The engine broke off its answer.", begun=True) from error


async def _refused(reply: aiohttp.ClientResponse, param: str) -> HyperinferError:
    return said.refusal(reply.status, await reply.content.read(MAX_ERROR_BYTES), param)
