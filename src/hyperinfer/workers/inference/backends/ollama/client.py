"""HTTP to an Ollama server: what it has, and answers as they come."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import urlsplit

import aiohttp
import msgspec

from hyperinfer.errors import BackendFailed, ConfigError, Unavailable
from hyperinfer.facilities import tracing
from hyperinfer.workers.inference.backends import Emit, End
from hyperinfer.workers.inference.backends.ollama.answer import AnswerReader
from hyperinfer.workers.inference.backends.ollama.catalogue import (
    Catalogue,
    Loaded,
    Ps,
    Show,
    Tag,
    Tags,
    Version,
    chosen,
)
from hyperinfer.workers.inference.backends.ollama.refusals import RETRY_AFTER_S, refusal
from hyperinfer.workers.inference.backends.ollama.settings import OllamaSettings

MAX_ERROR_BYTES = 64 * 1024
MAX_REPLY_BYTES = 16 * 1024 * 1024
STREAMS = ("application/x-ndjson", "application/json")
"""What Ollama sends lines as; one who stands in for it may take the other."""

T = TypeVar("T")

_version = msgspec.json.Decoder(Version)
_tags = msgspec.json.Decoder(Tags)
_ps = msgspec.json.Decoder(Ps)
_show = msgspec.json.Decoder(Show)
_encode = msgspec.json.Encoder().encode


class Refused(Unavailable):
    """The server is there, and does not answer this."""


class OllamaClient:
    """Talks to one server, for as long as the block lasts. Raises `ConfigError` for a URL that is none."""

    def __init__(self, settings: OllamaSettings) -> None:
        self._settings = settings
        self._base = checked(settings.url)
        self._told: dict[str, tuple[str, ...]] = {}
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        settings = self._settings
        key = {"authorization": f"Bearer {settings.api_key}"} if settings.api_key else {}
        self._session = aiohttp.ClientSession(
            # A connection for each request: one that is kept may be closed in the very moment in which it is used again.
            # How many there are is bounded by the models' slots.
            connector=aiohttp.TCPConnector(force_close=True, limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={**key, "content-type": "application/json", **settings.headers},
            timeout=aiohttp.ClientTimeout(sock_connect=settings.connect_timeout_s, sock_read=settings.load_timeout_s),
            auto_decompress=False,
            skip_auto_headers=("accept-encoding",),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def catalogue(self) -> Catalogue:
        """What the server has now. Raises `Unavailable` with the reason for the operator, `BackendFailed`."""
        version = await self._look("GET", "/api/version", _version)
        tags = chosen(await self._look("GET", "/api/tags", _tags), self._settings)
        loaded = (await self._look("GET", "/api/ps", _ps)).models or ()
        return Catalogue(version.version, await self._with_capabilities(tags), {model.name: model for model in loaded})

    async def loaded(self) -> Mapping[str, Loaded]:
        """The models in memory, by name. Raises as `catalogue` does."""
        return {model.name: model for model in (await self._look("GET", "/api/ps", _ps)).models or ()}

    async def stream(self, path: str, body: bytes, reader: AnswerReader, emit: Emit, *, model: str, param: str) -> End:
        """Have a request answered; leaving it early closes the connection, upon which Ollama stops.

        Raises what `refusal` makes of a refusal, `BackendFailed`, `Unavailable`.
        """
        async with self._asking(path, body, model=model, param=param) as reply:
            if reply.content_type not in STREAMS:
                raise BackendFailed("Ollama answered with something that is no answer of a model.")
            while not reader.done:
                piece = await reply.content.readany()
                if pieces := reader.take(piece or b"\n"):
                    await emit(pieces)
                if not piece:
                    break
            return reader.end()

    async def whole(self, path: str, body: bytes, decoder: msgspec.json.Decoder[T], *, model: str, param: str) -> T:
        """Have a request answered in one piece. Raises as `stream` does."""
        async with self._asking(path, body, model=model, param=param) as reply:
            return decoded(await _read(reply), decoder)

    async def _with_capabilities(self, tags: tuple[Tag, ...]) -> tuple[Tag, ...]:
        """The models, asked one by one where the list does not say what they can do; once for each file."""
        known, self._told = self._told, {}
        found = []
        for tag in tags:
            told = tag.capabilities
            if told is None:
                told = known.get(tag.digest)
            if told is None:
                try:
                    shown = await self._look("POST", "/api/show", _show, _encode({"model": tag.name}))
                except Refused:
                    continue  # it has been removed since it was listed
                told = shown.capabilities or ()
            self._told[tag.digest] = told
            found.append(msgspec.structs.replace(tag, capabilities=told))
        return tuple(found)

    async def _look(self, method: str, path: str, decoder: msgspec.json.Decoder[T], body: bytes | None = None) -> T:
        timeout = aiohttp.ClientTimeout(
            total=self._settings.look_timeout_s, sock_connect=self._settings.connect_timeout_s
        )
        url = f"{self._base}{path}"
        try:
            async with self._session.request(method, url, data=body, timeout=timeout, allow_redirects=False) as reply:
                if reply.status in (401, 403):
                    raise Unavailable(f"The server at {self._base} refuses our key ({reply.status}).")
                if reply.status != 200:
                    raise Refused(f"{url} answers {reply.status}: is this an Ollama?")
                return decoded(await _read(reply), decoder)
        except TimeoutError as error:
            raise Unavailable(f"The server at {self._base} does not answer in time.") from error
        except aiohttp.ClientError as error:
            raise Unavailable(f"There is no Ollama at {self._base} now.") from error

    @asynccontextmanager
    async def _asking(self, path: str, body: bytes, *, model: str, param: str) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer that is no refusal."""
        url = f"{self._base}{path}"
        try:
            headers = tracing.traceparent()
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as reply:
                if reply.status != 200:
                    said = await reply.content.read(MAX_ERROR_BYTES)
                    retry_after = reply.headers.get("retry-after", "")
                    raise refusal(reply.status, said, model=model, param=param, retry_after=retry_after)
                yield reply
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise Unavailable("Ollama cannot be reached.", retry_after_s=RETRY_AFTER_S) from error
        except aiohttp.SocketTimeoutError as error:
            raise BackendFailed(f"Ollama said nothing for {self._settings.load_timeout_s:g} s.") from error
        except aiohttp.ClientError as error:
            raise BackendFailed("Ollama broke off its answer.") from error


def checked(url: str) -> str:
    """The server's address without a slash at its end. Raises `ConfigError` for what is none, or tells a password."""
    if not _is_address(url):
        raise ConfigError("ollama.url: write it as http://127.0.0.1:11434.", path="ollama.url")
    if "@" in urlsplit(url).netloc:
        raise ConfigError(
            "ollama.url holds a user or a password: put them into ollama.headers, as authorization.", path="ollama.url"
        )
    return url.rstrip("/")


def decoded(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """A reply. Raises `BackendFailed` for what is not one of Ollama's."""
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BackendFailed("Ollama's answer makes no sense.") from error


async def _read(reply: aiohttp.ClientResponse) -> bytes:
    """A body of bounded size. Raises `BackendFailed` for a larger one."""
    pieces: list[bytes] = []
    size_bytes = 0
    while piece := await reply.content.readany():
        pieces.append(piece)
        size_bytes += len(piece)
        if size_bytes > MAX_REPLY_BYTES:
            raise BackendFailed("Ollama's answer does not end.")
    return b"".join(pieces)


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and "?" not in url
    except ValueError:
        return False
