"""Reading answers of others: whole, and not more than there is room for."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import aiohttp


async def read_some(reply: "aiohttp.ClientResponse", limit_bytes: int) -> bytes:
    """A body, or the beginning of a long one; a single read of aiohttp's may give less than there is."""
    pieces: list[bytes] = []
    left = limit_bytes
    while left > 0 and (piece := await reply.content.read(left)):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)
