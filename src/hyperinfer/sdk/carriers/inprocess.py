"""An ASGI app of this process as a carrier: every route as it is served elsewhere, without a socket between.

Source: https://asgi.readthedocs.io/en/latest/specs/www.html
"""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import unquote

from hyperinfer import __version__
from hyperinfer.errors import PeerLost

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Scope

HELD_BYTES = 256 * 1024
"""How much of a body may wait to be read before whoever writes it is held back."""
LEAVING_S = 3.0
"""How long requests that are hung up on may take to end when the carrier is closed; what is left is cancelled."""
HOST = "localhost"


class InProcess:
    """Carries requests to an app."""

    def __init__(self, app: "ASGIApp") -> None:
        self._app = app
        self._running: dict[asyncio.Task[None], Exchange] = {}

    async def open(self) -> None:
        """Nothing is needed."""

    async def close(self) -> None:
        """Hang up on every request that runs, and wait for its end."""
        for exchange in self._running.values():
            exchange.close()
        if self._running:
            await asyncio.wait(self._running, timeout=LEAVING_S)
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running, timeout=LEAVING_S)

    async def reach(self) -> None:
        """It is here."""

    async def exchange(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> "Exchange":
        """Have the app answer a request, and wait for the head of its reply."""
        exchange = Exchange(body)
        task = asyncio.create_task(exchange.run(self._app, _scope(method, target, headers, body)), name=target)
        self._running[task] = exchange
        task.add_done_callback(self._ended)
        try:
            await exchange.began()
        except BaseException:
            exchange.close()
            raise
        return exchange

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        if not task.cancelled():
            task.exception()  # looked at: to whoever asked, it is a reply that broke off


class Exchange:
    """One request and its reply, seen from both ends: the app's `receive` and `send`, the client's `piece` and `close`."""

    def __init__(self, body: bytes) -> None:
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self._body: bytes | None = body
        self._pieces: list[bytes] = []
        self._held_bytes = 0
        self._whole = False
        self._over = asyncio.Event()
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._ended = False

    # --- the app's end ----------------------------------------------------------------------------------------

    async def run(self, app: "ASGIApp", scope: "Scope") -> None:
        """Have the app answer."""
        try:
            await app(scope, self._receive, self._send)
        finally:
            self._ended = True
            self._wake.set()

    async def _receive(self) -> "Message":
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._over.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: "Message") -> None:
        """Take a message of the app's; as servers do, pass over what comes after the client has gone."""
        if self._over.is_set():
            return
        if message["type"] == "http.response.start":
            self.headers = {
                name.decode("latin-1").lower(): value.decode("latin-1") for name, value in message["headers"]
            }
            self.status = message["status"]
        elif message["type"] == "http.response.body":
            piece: bytes = message.get("body", b"")
            if piece:
                self._pieces.append(piece)
                self._held_bytes += len(piece)
            if not message.get("more_body", False):
                self._whole = True
                self._over.set()
        self._wake.set()
        while self._held_bytes > HELD_BYTES and not self._over.is_set():
            self._room.clear()
            await self._room.wait()

    # --- the client's end -------------------------------------------------------------------------------------

    async def began(self) -> None:
        """Wait for the head of the reply. Raises `PeerLost` if none comes."""
        while not self.status:
            await self._more()

    async def piece(self) -> bytes:
        """What has come of the body since the last piece."""
        while not self._pieces and not self._whole:
            await self._more()
        piece = b"".join(self._pieces)
        self._pieces.clear()
        self._held_bytes = 0
        self._room.set()
        return piece

    def close(self) -> None:
        """Hang up."""
        self._over.set()
        self._pieces.clear()
        self._held_bytes = 0
        self._room.set()
        self._wake.set()

    async def _more(self) -> None:
        """Wait for another message. Raises `PeerLost` where none can come."""
        if self._ended or self._over.is_set():
            raise PeerLost("The answer broke off.")
        self._wake.clear()
        await self._wake.wait()


def _scope(method: str, target: str, headers: Mapping[str, str], body: bytes) -> "Scope":
    path, _, query = target.partition("?")
    named = {"host": HOST, "user-agent": f"hyperinfer/{__version__}", **headers}
    if body:
        named["content-length"] = f"{len(body)}"
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in named.items()],
        "client": None,
        "server": None,
        "state": {},
    }
