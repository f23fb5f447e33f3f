"""Bodies of requests: read whole, each within its bound, and all that are under way within one."""

import asyncio
from typing import TypeVar

import msgspec
from starlette.types import Message, Receive

from hyperinfer.edge.errors import SlowBody
from hyperinfer.edge.request import ClientGone
from hyperinfer.errors import Overloaded, TooLarge
from hyperinfer.protocol.typed_json import decode

T = TypeVar("T")

TIMEOUT_S = 60.0
"""How long a client may take to send a body."""
LARGEST_AT_ONCE = 32
"""So many bodies of the largest size may be under way at once, and any number of small ones: nobody knows yet whose they are."""
MIB = 1024 * 1024


class Bodies:
    """Reads the bodies of one server."""

    def __init__(self, *, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._room_bytes = LARGEST_AT_ONCE * limit_bytes

    async def read(self, receive: Receive) -> bytes:
        """The whole body, of which no more than the bound is ever held.

        Raises `TooLarge`, `SlowBody`, `Overloaded`, and `ClientGone` if the client hangs up first.
        """
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        body: bytes = message.get("body", b"")
        if not message.get("more_body", False):
            self._check(len(body))
            return body
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await self._whole(receive, body)
        except TimeoutError as error:
            raise SlowBody("The body did not arrive in time.") from error

    async def read_json(self, receive: Receive, kind: type[T]) -> T:
        """The body as a Struct; an empty body is an empty object. Raises `BadRequest` naming the field, and as `read`."""
        return decode(msgspec.json.Decoder(kind), await self.read(receive) or b"{}")

    async def _whole(self, receive: Receive, first: bytes) -> bytes:
        parts: list[bytes] = []
        size = 0
        message: Message = {"body": first, "more_body": True}
        try:
            while True:
                part: bytes = message.get("body", b"")
                self._check(size + len(part))
                self._take(len(part))
                size += len(part)
                parts.append(part)
                if not message.get("more_body", False):
                    return b"".join(parts)
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
        finally:
            self._room_bytes += size

    def _check(self, size: int) -> None:
        if size > self._limit_bytes:
            raise too_large(self._limit_bytes)

    def _take(self, size: int) -> None:
        if size > self._room_bytes:
            raise Overloaded("Too many large bodies are being sent here now. Try again shortly.", retry_after_s=1)
        self._room_bytes -= size


def too_large(limit_bytes: int) -> TooLarge:
    """The error for a body above the limit."""
    limit = f"{limit_bytes // MIB} MiB" if limit_bytes >= MIB else f"{limit_bytes // 1024} KiB"
    return TooLarge(f"The body is larger than {limit}, the most that is accepted here.", limit_bytes=limit_bytes)
