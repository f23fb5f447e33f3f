"""Let Ollama pull a model: its `/api/pull`, which tells line by line how far it is.

Source: https://github.com/ollama/ollama/blob/main/docs/api.md#pull-a-model
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import msgspec

from hyperinfer.errors import BackendFailed, BadRequest, HyperinferError, NotFound, Unauthenticated, Unavailable
from hyperinfer.workers.inference.hub.pull import Progress

CONNECT_TIMEOUT_S = 10.0
SILENCE_S = 300.0
"""How long Ollama may say nothing: it checks a large file's hash at the end."""
MAX_LINE_BYTES = 64 * 1024


class Line(msgspec.Struct, frozen=True):
    """A line of its answer; `completed` bytes of `total` are those of one layer."""

    status: str = ""
    digest: str = ""
    total: int = 0
    completed: int = 0
    error: str = ""


class Refusal(msgspec.Struct, frozen=True):
    """Why it did not begin."""

    error: str = ""


async def pull(url: str, name: str, progress: Progress, *, headers: dict[str, str]) -> int:
    """Have a model pulled; the bytes of its layers.

    Ollama goes on by itself with what it was interrupted in. Raises `NotFound`, `Unauthenticated`, `Unavailable` or
    `BackendFailed`.
    """
    layers: dict[str, int] = {}
    ended = False
    async with _asked(url, name, headers) as reply:
        async for line in _lines(reply):
            if line.error:
                raise _refusal(line.error, name)
            ended = line.status == "success"
            if line.digest and line.digest not in layers:
                layers[line.digest] = line.total
                progress.file(line.digest.removeprefix("sha256:")[:12], line.total)
            if line.digest:
                progress.at(line.completed)
            elif line.status and not ended:
                progress.note(line.status)
    if not ended:
        raise BackendFailed("Ollama broke the pull off. Pull again: it goes on with what it has.")
    return sum(layers.values())


@asynccontextmanager
async def _asked(url: str, name: str, headers: dict[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=SILENCE_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers, read_bufsize=MAX_LINE_BYTES) as session,
            session.post(f"{url.rstrip('/')}/api/pull", json={"model": name}, allow_redirects=False) as reply,
        ):
            if reply.status != 200:
                raise _refusal(await _reason(reply), name, status=reply.status)
            yield reply
    except (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError) as error:
        raise BackendFailed("Ollama broke the pull off. Pull again: it goes on with what it has.") from error
    except aiohttp.InvalidURL as error:
        raise BadRequest("ollama.url (OLLAMA_URL) is no address.") from error
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unavailable("Ollama does not answer. Does it run? OLLAMA_URL says where.") from error


async def _lines(reply: aiohttp.ClientResponse) -> AsyncIterator[Line]:
    try:
        async for text in reply.content:
            if text.strip():
                yield msgspec.json.decode(text, type=Line)
    except (msgspec.DecodeError, ValueError) as error:
        raise BackendFailed("What answers in Ollama's place is none: see OLLAMA_URL.") from error


async def _reason(reply: aiohttp.ClientResponse) -> str:
    try:
        return msgspec.json.decode(await reply.content.read(MAX_LINE_BYTES), type=Refusal).error
    except msgspec.DecodeError:
        return ""


def _refusal(reason: str, name: str, *, status: int = 200) -> HyperinferError:
    reason = reason[:300]
    if "does not exist" in reason or "not found" in reason or "file does not exist" in reason:
        return NotFound(f"Ollama's library has no model {name}.")
    if status in {401, 403}:
        return Unauthenticated("Ollama refuses the credential in ollama.api_key.")
    return BackendFailed(f"Ollama cannot pull {name}: {reason}" if reason else f"Ollama refused with status {status}.")
