"""HTTP to one server: what it has, and answers as they come."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from types import SimpleNamespace, TracebackType
from typing import Self, TypeVar

import aiohttp
import msgspec

from hyperinfer.errors import BackendFailed, ConfigError, Unavailable
from hyperinfer.facilities import tracing
from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.http.reading import read_some
from hyperinfer.workers.inference.backends import Emit
from hyperinfer.workers.inference.backends.openai import flavors
from hyperinfer.workers.inference.backends.openai.answers import AnswerReader
from hyperinfer.workers.inference.backends.openai.catalogue import (
    Catalogue,
    Listed,
    Listing,
    Props,
    catalogue,
    unlisted,
)
from hyperinfer.workers.inference.backends.openai.flavors import LLAMACPP
from hyperinfer.workers.inference.backends.openai.refusals import RETRY_AFTER_S, WHO, Asked, refusal
from hyperinfer.workers.inference.backends.openai.settings import ServerSettings

MAX_ERROR_BYTES = 64 * 1024
MAX_LISTING_BYTES = 8 * 1024 * 1024
MAX_REPLY_BYTES = 64 * 1024 * 1024
KEEP_S = 4.0
"""How long a connection is kept for the next request: shorter than the 5 s after which uvicorn and llama.cpp close it."""
LAST_BYTES_S = 0.05
"""How long the end of a body is waited for after the end of an answer, so that its connection can be used again."""
NO_LIST = (404, 405, 501)

T = TypeVar("T")

_listing = msgspec.json.Decoder(Listing | tuple[Listed, ...])
_props = msgspec.json.Decoder(Props)


class Slow(Unavailable):
    """The server did not say in time what it has, which a busy one may not."""


class _NotThere(Unavailable):
    """The server has no such route."""


@dataclass(slots=True)
class _Attempt:
    """One try of a request; `kept` tells that its connection had been used before."""

    kept: bool = False


class ServerClient:
    """Talks to one server, for as long as the block lasts. Raises `ConfigError` for certificates that are none."""

    def __init__(self, settings: ServerSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._session: aiohttp.ClientSession
        self.heard_at = float("-inf")

    async def __aenter__(self) -> Self:
        settings = self._settings
        connections = aiohttp.TraceConfig()
        connections.on_connection_reuseconn.append(_note_kept)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=settings.connections, keepalive_timeout=KEEP_S, ssl=_trust(settings.ca_file)
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=_headers(settings),
            timeout=aiohttp.ClientTimeout(
                connect=2 * settings.connect_timeout_s,  # the wait for a connection of those allowed included
                sock_connect=settings.connect_timeout_s,
                sock_read=settings.silence_timeout_s,
            ),
            auto_decompress=False,
            skip_auto_headers=("accept-encoding",),
            trace_configs=[connections],
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def catalogue(self) -> Catalogue:
        """What the server has now. Raises `Unavailable` with the reason for the operator, `Slow` if it took too long."""
        try:
            said = await self._look(f"{self._settings.url}/models", _listing)
            listed = (said.data or ()) if isinstance(said, Listing) else said
        except _NotThere:
            listed = unlisted(self._settings)
            if not listed:
                raise
        owners = [one.owned_by or "" for one in listed]
        props = None
        if flavors.found(self._settings.flavor, self._settings.url, owners) is LLAMACPP:
            with suppress(_NotThere):
                props = await self._look(f"{self._settings.url.removesuffix('/v1')}/props", _props)
        return catalogue(listed, self._settings, props)

    async def stream(self, path: str, body: bytes, reader: AnswerReader, emit: Emit, asked: Asked) -> None:
        """Have a request answered; leaving it early closes the connection, upon which the server stops.

        Raises what `refusal` makes of a refusal, `BackendFailed`, `Unavailable`.
        """
        async with self._asking(path, body, asked) as reply:
            if reply.content_type != "text/event-stream":
                raise BackendFailed(f"{WHO} answered with something that is no stream.")
            while not reader.done:
                piece = await reply.content.readany()
                if not piece:
                    raise BackendFailed(f"{WHO}'s answer ended without its end mark.")
                self.heard_at = self._clock.monotonic()
                if pieces := reader.take(piece):
                    await emit(pieces)
            await _finish(reply)

    async def whole(self, path: str, body: bytes, asked: Asked) -> bytes:
        """Have a request answered in one piece. Raises as `stream` does."""
        async with self._asking(path, body, asked) as reply:
            return await _read(reply, MAX_REPLY_BYTES)

    async def _look(self, url: str, decoder: msgspec.json.Decoder[T]) -> T:
        settings = self._settings
        timeout = aiohttp.ClientTimeout(total=settings.look_timeout_s, sock_connect=settings.connect_timeout_s)
        try:
            async with self._session.get(
                url, timeout=timeout, allow_redirects=False, trace_request_ctx=_Attempt()
            ) as reply:
                if reply.status in (401, 403):
                    raise Unavailable(f"{settings.url} refuses our key ({reply.status}).")
                if reply.status in NO_LIST:
                    raise _NotThere(f"{url} answers {reply.status}: name the server's models in its settings.")
                if reply.status != 200:
                    raise Unavailable(f"{url} answers {reply.status}.")
                return decoder.decode(await _read(reply, MAX_LISTING_BYTES))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, BackendFailed) as error:
            raise Unavailable(f"{url} answers what no server of OpenAI's kind does.") from error
        except TimeoutError as error:
            raise Slow(f"{settings.url} does not answer in time.") from error
        except aiohttp.ClientSSLError as error:
            raise Unavailable(f"{settings.url} shows a certificate that is not trusted here.") from error
        except aiohttp.ClientError as error:
            raise Unavailable(f"{settings.url} cannot be reached.") from error

    @asynccontextmanager
    async def _asking(self, path: str, body: bytes, asked: Asked) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer that is no refusal."""
        try:
            async with await self._sent(f"{self._settings.url}{path}", body) as reply:
                if reply.status != 200:
                    said = await read_some(reply, MAX_ERROR_BYTES)
                    if self._settings.api_key and self._settings.api_key.encode() in said:
                        said = b""  # an answer that quotes the key goes nowhere
                    raise refusal(reply.status, said, asked, headers=reply.headers, now=self._clock.now())
                yield reply
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise Unavailable(f"{WHO} cannot be reached.", retry_after_s=RETRY_AFTER_S) from error
        except aiohttp.SocketTimeoutError as error:
            raise BackendFailed(f"{WHO} said nothing for {self._settings.silence_timeout_s:g} s.") from error
        except aiohttp.ClientError as error:
            raise BackendFailed(f"{WHO} broke off its answer.") from error

    async def _sent(self, url: str, body: bytes) -> aiohttp.ClientResponse:
        """The beginning of an answer. A connection that was kept may be closed in the very moment in which it is used
        again: then the request goes once more, on another."""
        attempt = _Attempt()
        try:
            return await self._post(url, body, attempt)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            if not attempt.kept:
                raise
        return await self._post(url, body, _Attempt())

    async def _post(self, url: str, body: bytes, attempt: _Attempt) -> aiohttp.ClientResponse:
        """Ask once, within our trace: a server that traces its requests then tells of this one where ours is told of."""
        return await self._session.post(
            url, data=body, headers=tracing.traceparent(), allow_redirects=False, trace_request_ctx=attempt
        )


async def _note_kept(session: aiohttp.ClientSession, context: SimpleNamespace, params: object) -> None:
    context.trace_request_ctx.kept = True


def _headers(settings: ServerSettings) -> dict[str, str]:
    headers = {"content-type": "application/json"}
    if settings.api_key:
        headers["authorization"] = f"Bearer {settings.api_key}"
    if settings.organization:
        headers["openai-organization"] = settings.organization
    if settings.project:
        headers["openai-project"] = settings.project
    return headers | {name.lower(): value for name, value in settings.headers.items()}


def _trust(ca_file: str) -> ssl.SSLContext | bool:
    if not ca_file:
        return True
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(f"{ca_file} holds no certificates that can be read.") from error


async def _read(reply: aiohttp.ClientResponse, limit_bytes: int) -> bytes:
    """A body. Raises `BackendFailed` for one above the bound."""
    body = await read_some(reply, limit_bytes + 1)
    if len(body) > limit_bytes:
        raise BackendFailed(f"{WHO}'s answer does not end.")
    return body


async def _finish(reply: aiohttp.ClientResponse) -> None:
    """Read the end of a body that is on its way; a connection whose body has not ended is closed."""
    with suppress(TimeoutError, aiohttp.ClientError):
        async with asyncio.timeout(LAST_BYTES_S):
            await reply.content.readany()
