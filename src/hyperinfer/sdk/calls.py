"""Requests to one gateway under one credential: what every group of the client library is made of."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from datetime import date
from typing import Any, TypeVar

import msgspec

from hyperinfer.errors import BackendFailed, BadRequest, PeerLost, TooLarge
from hyperinfer.sdk.refusals import Refusal, from_event
from hyperinfer.sdk.reports import Page
from hyperinfer.sdk.retries import Effect
from hyperinfer.sdk.transport import Request, Transport

T = TypeVar("T")

Credential = Callable[[], str]
"""What is presented, told when it is needed: it may raise `Unauthenticated`."""

CALL_TIMEOUT_S = 30.0
MAX_PAGE = 200
"""How many rows a gateway puts into one page."""
MAX_LINE_CHARS = 4 * 1024 * 1024


class _Failed(msgspec.Struct, frozen=True):
    """What of an event says that it is the last, because of an error."""

    error: Refusal | None = None


class Calls:
    """Requests under one credential. Raise as `Transport` does, and what the gateway refuses with."""

    def __init__(self, transport: Transport, credential: Credential) -> None:
        self._transport = transport
        self._credential = credential

    async def get(self, path: str, kind: type[T], **query: str | int | date | None) -> T:
        """Look something up; what is null is not asked."""
        return (await self._transport.json(self._look(path, _texts(query)), kind, timeout_s=CALL_TIMEOUT_S)).content

    async def send(self, method: str, path: str, kind: type[T], **body: Any) -> T:
        """Change something; what is null is left out."""
        return (await self._transport.json(self._change(method, path, body), kind, timeout_s=CALL_TIMEOUT_S)).content

    async def send_long(self, path: str, kind: type[T], *, timeout_s: float, **body: Any) -> T:
        """The same, by POST, of what takes longer."""
        return (await self._transport.json(self._change("POST", path, body), kind, timeout_s=timeout_s)).content

    async def do(self, method: str, path: str, **body: Any) -> None:
        """Change something of which nothing is answered."""
        await self._transport.content(self._change(method, path, body), timeout_s=CALL_TIMEOUT_S)

    async def content(self, path: str, *, timeout_s: float = CALL_TIMEOUT_S, **query: str | int | date | None) -> bytes:
        """Look something up, as it is."""
        return (await self._transport.content(self._look(path, _texts(query)), timeout_s=timeout_s)).content

    def csv(self, path: str, **query: str | int | date | None) -> AsyncGenerator[str]:
        """A table as CSV, in pieces as it comes."""
        return self._transport.text(self._look(path, {**_texts(query), "format": "csv"}), timeout_s=CALL_TIMEOUT_S)

    async def events(self, path: str, kind: type[T]) -> AsyncGenerator[T]:
        """Things as they come, each an event. Raises what broke them off, if anything did."""
        async with self._transport.events(self._look(path), timeout_s=CALL_TIMEOUT_S) as reply:
            async for batch in reply.content:
                for event in batch:
                    if (refusal := _thing(event, _Failed).error) is not None:
                        raise from_event(refusal)
                    yield _thing(event, kind)

    async def lines(
        self, path: str, *, timeout_s: float, **query: str | int | date | None
    ) -> AsyncGenerator[dict[str, Any]]:
        """Objects as they come, a line each; the last one, which has what is `missing`, is left out where that is nothing.

        Raises what broke them off, and `PeerLost` where that last one does not come.
        """
        rest = ""
        async with aclosing(self._transport.text(self._look(path, _texts(query)), timeout_s=timeout_s)) as pieces:
            async for piece in pieces:
                *lines, rest = (rest + piece).split("\n")
                if len(rest) > MAX_LINE_CHARS:
                    raise TooLarge("A line does not end.", limit_bytes=MAX_LINE_CHARS)
                for line in filter(None, lines):
                    thing: dict[str, Any] = _thing(line.encode(), dict)
                    _check_failed(thing)
                    if thing.keys() == {"missing"}:
                        if thing["missing"]:
                            yield thing
                        return
                    yield thing
        raise PeerLost("The lines broke off: the connection ended before their end.")

    def _look(self, path: str, query: Mapping[str, str] | None = None) -> Request:
        return Request("GET", path, self._credential(), Effect.NONE, query=query)

    def _change(self, method: str, path: str, body: Mapping[str, Any]) -> Request:
        return Request(method, path, self._credential(), Effect.CHANGE, body=_given(body))


async def each(page: Callable[[str | None], Awaitable[Page[T]]]) -> AsyncGenerator[T]:
    """Every row of a list, page by page."""
    cursor: str | None = None
    while True:
        found = await page(cursor)
        for row in found.data:
            yield row
        if found.next is None:
            return
        if found.next == cursor:
            raise BackendFailed("The gateway gives the same page again and again.")
        cursor = found.next


def _thing(text: bytes, kind: type[T]) -> T:
    """What an event or a line holds. Raises `BackendFailed` for what makes no sense."""
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError as error:
        raise BackendFailed(f"The gateway answered something else than expected: {error}.") from error


def _check_failed(thing: Mapping[str, Any]) -> None:
    """Raise the error that a line holds: it has nothing else."""
    if thing.keys() == {"error"} and isinstance(thing["error"], dict):
        raise from_event(msgspec.convert(thing["error"], Refusal, strict=False))


def at(path: str, id_: str) -> str:
    """The path of one thing. Raises `BadRequest` for what is no id, so that no key is ever put into a URL by mistake."""
    if not (id_.isascii() and id_.replace("-", "").isalnum()):
        raise BadRequest("An id is made of letters, digits and hyphens.", param="id")
    return f"{path}/{id_}"


def _texts(query: Mapping[str, str | int | date | None]) -> dict[str, str]:
    return {
        name: value.isoformat() if isinstance(value, date) else str(value)
        for name, value in query.items()
        if value is not None
    }


def _given(body: Mapping[str, Any]) -> dict[str, Any] | None:
    return {name: value for name, value in body.items() if value is not None} or None
