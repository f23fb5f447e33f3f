"""HTTP to one gateway: typed JSON, text and event streams, bounded in size and time, refusals as errors of ours."""

import asyncio
import codecs
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, closing
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
import msgspec

from hyperinfer import __version__
from hyperinfer.errors import BackendFailed, DeadlineExceeded, HyperinferError, PeerLost, TooLarge, Unavailable
from hyperinfer.facilities.clock import Clock, SystemClock
from hyperinfer.protocol.sse import EventReader
from hyperinfer.sdk.refusals import from_reply

MAX_REPLY_BYTES = 64 * 1024 * 1024
MAX_REFUSAL_BYTES = 1024 * 1024
END_MARK = b"[DONE]"

PAUSES_S = (0.2, 1.0)
"""What only looks something up is tried again after these times, where the gateway hung up or something is away."""
MAX_PAUSE_S = 2.0
"""A gateway that wants a longer pause is obeyed by giving up."""

T = TypeVar("T")


class Transport:
    """An HTTP client of one gateway; an async context manager. Redirects and proxies are never followed.

    A GET that fails for want of the gateway, or of something behind it, is repeated twice; nothing else ever is.
    """

    def __init__(self, base_url: str, *, connect_timeout_s: float, clock: Clock | None = None) -> None:
        self.base_url = base_url
        self._clock = clock or SystemClock()
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        headers = {"user-agent": f"hyperinfer/{__version__}"}
        self._session = aiohttp.ClientSession(headers=headers, timeout=self._timeout)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def json(
        self,
        method: str,
        path: str,
        kind: type[T],
        *,
        credential: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        timeout_s: float,
    ) -> T:
        """One request and its typed reply.

        Raises what the gateway refuses with, `Unavailable` if it cannot be reached, `DeadlineExceeded`, `TooLarge`.
        """
        content = await self.content(method, path, credential=credential, body=body, query=query, timeout_s=timeout_s)
        try:
            return msgspec.json.decode(content, type=kind)
        except msgspec.DecodeError as error:
            raise BackendFailed(f"{self.base_url}{path} answered something else than expected: {error}.") from error

    async def content(
        self,
        method: str,
        path: str,
        *,
        credential: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        timeout_s: float,
    ) -> bytes:
        """One request and its reply as it is, each try within `timeout_s`. Raises as `json`."""
        for pause_s in PAUSES_S if method == "GET" else ():
            try:
                return await self._content(method, path, credential, body, query, timeout_s)
            except Unavailable as error:
                asked_s = error.details.get("retry_after_s", 0)
                if not _may_pass(error) or asked_s > MAX_PAUSE_S:
                    raise
                await self._clock.sleep(max(pause_s, asked_s))
        return await self._content(method, path, credential, body, query, timeout_s)

    async def _content(
        self,
        method: str,
        path: str,
        credential: str,
        body: Mapping[str, Any] | None,
        query: Mapping[str, str] | None,
        timeout_s: float,
    ) -> bytes:
        async with self._within(timeout_s):
            reply = await self._request(method, path, credential=credential, body=body, query=query)
            with closing(reply):
                return await _read(reply, MAX_REPLY_BYTES)

    async def text(
        self, path: str, *, credential: str, query: Mapping[str, str], timeout_s: float
    ) -> AsyncGenerator[str]:
        """A reply of any length, in pieces as it comes; `timeout_s` bounds the wait for each. Raises as `json`."""
        async with self._within(timeout_s):
            reply = await self._request("GET", path, credential=credential, query=query)
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        with closing(reply):
            while True:
                async with self._within(timeout_s):
                    piece = await reply.content.readany()
                if not piece:
                    return
                yield decoder.decode(piece)

    @asynccontextmanager
    async def events(
        self, path: str, *, credential: str, body: Mapping[str, Any], timeout_s: float
    ) -> AsyncIterator[AsyncIterator[list[bytes]]]:
        """One request answered by server-sent events: the data of each, in batches as they arrive.

        `timeout_s` bounds the wait for the first event and for every further one. Leaving early hangs up, which stops
        the work at the other end. Raises as `json` does, and `PeerLost` for a stream that ends without its end mark.
        """
        async with self._within(timeout_s):
            reply = await self._request("POST", path, credential=credential, body=body)
        with closing(reply):  # not released: what is left of a stream is not wanted
            async with aclosing(self._batches(reply, timeout_s)) as batches:
                yield batches

    async def _batches(self, reply: aiohttp.ClientResponse, timeout_s: float) -> AsyncGenerator[list[bytes]]:
        reader = EventReader()
        while True:
            async with self._within(timeout_s):
                piece = await reply.content.readany()
            if not piece:
                raise PeerLost("The answer broke off: the connection ended before its end.")
            batch = reader.feed(piece)
            if batch and batch[-1] == END_MARK:
                yield batch[:-1]
                return
            yield batch

    async def _request(
        self,
        method: str,
        path: str,
        *,
        credential: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> aiohttp.ClientResponse:
        if self._session is None:
            raise RuntimeError("Use the client as a context manager, such as `async with AsyncClient() as client:`.")
        headers = {"authorization": f"Bearer {credential}"} if credential else {}
        if body is not None:
            headers["content-type"] = "application/json"
        reply = await self._session.request(
            method,
            self.base_url + path,
            params=query,
            data=None if body is None else msgspec.json.encode(body),
            headers=headers,
            allow_redirects=False,
        )
        if reply.status >= 300:
            with closing(reply):
                raise from_reply(reply.status, await _read(reply, MAX_REFUSAL_BYTES), reply.headers)
        return reply

    @asynccontextmanager
    async def _within(self, timeout_s: float) -> AsyncIterator[None]:
        """A deadline, and the client library's errors as ours."""
        try:
            async with asyncio.timeout(timeout_s):
                yield
        except HyperinferError:
            raise
        except aiohttp.ConnectionTimeoutError as error:
            raise Unavailable(f"No gateway answers at {self.base_url}: no connection in time.") from error
        except TimeoutError as error:  # aiohttp's own time-outs are of this class too
            raise DeadlineExceeded(f"{self.base_url} did not answer in time.") from error
        except aiohttp.ClientConnectorError as error:
            raise Unavailable(f"No gateway answers at {self.base_url}: {_reason(error)}.") from error
        except aiohttp.ClientError as error:
            raise PeerLost(f"The connection to {self.base_url} broke off.") from error


def _may_pass(error: Unavailable) -> bool:
    """Whether it may be over in a moment: a gateway that is not there at all is not worth waiting for."""
    return isinstance(error, PeerLost) or "status" in error.details


def _reason(error: aiohttp.ClientConnectorError) -> str:
    text = error.os_error.strerror or str(error.os_error)
    return text[:1].lower() + text[1:]


async def _read(reply: aiohttp.ClientResponse, limit_bytes: int) -> bytes:
    content = bytearray()
    while piece := await reply.content.readany():
        content += piece
        if len(content) > limit_bytes:
            raise TooLarge("The server's answer is too large.", limit_bytes=limit_bytes)
    return bytes(content)
