"""HTTP to one gateway: typed JSON and event streams, bounded in size and time, refusals as errors of ours."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, closing
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
import msgspec

from hyperinfer import __version__
from hyperinfer.errors import BackendFailed, DeadlineExceeded, HyperinferError, PeerLost, TooLarge, Unavailable
from hyperinfer.protocol.sse import EventReader
from hyperinfer.sdk.refusals import from_reply

MAX_REPLY_BYTES = 64 * 1024 * 1024
MAX_REFUSAL_BYTES = 1024 * 1024
END_MARK = b"[DONE]"

T = TypeVar("T")


class Transport:
    """An HTTP client of one gateway; an async context manager. Redirects and proxies are never followed."""

    def __init__(self, base_url: str, *, key: str | None, connect_timeout_s: float) -> None:
        self.base_url = base_url
        self._headers = {"user-agent": f"hyperinfer/{__version__}"}
        if key:
            self._headers["authorization"] = f"Bearer {key}"
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=self._timeout)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def json(
        self, method: str, path: str, kind: type[T], *, body: dict[str, Any] | None = None, timeout_s: float
    ) -> T:
        """One request and its typed reply.

        Raises what the gateway refuses with, `Unavailable` if it cannot be reached, `DeadlineExceeded`, `TooLarge`.
        """
        async with self._within(timeout_s):
            reply = await self._request(method, path, body)
            with closing(reply):
                content = await _read(reply, MAX_REPLY_BYTES)
        try:
            return msgspec.json.decode(content, type=kind)
        except msgspec.DecodeError as error:
            raise BackendFailed(f"{self.base_url}{path} answered something else than expected: {error}.") from error

    @asynccontextmanager
    async def events(
        self, path: str, *, body: dict[str, Any], timeout_s: float
    ) -> AsyncIterator[AsyncIterator[list[bytes]]]:
        """One request answered by server-sent events: the data of each, in batches as they arrive.

        `timeout_s` bounds the wait for the first event and for every further one. Leaving early hangs up, which stops
        the work at the other end. Raises as `json` does, and `PeerLost` for a stream that ends without its end mark.
        """
        async with self._within(timeout_s):
            reply = await self._request("POST", path, body)
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

    async def _request(self, method: str, path: str, body: dict[str, Any] | None) -> aiohttp.ClientResponse:
        if self._session is None:
            raise RuntimeError("Use the client as a context manager, such as `async with AsyncClient() as client:`.")
        reply = await self._session.request(
            method,
            self.base_url + path,
            data=None if body is None else msgspec.json.encode(body),
            headers=None if body is None else {"content-type": "application/json"},
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
