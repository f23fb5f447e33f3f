"""What is sent on one socket: message by message, no faster than its client takes them."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from starlette.types import Send

from hyperinfer.contracts import ws
from hyperinfer.edge.ws.messages import written
from hyperinfer.facilities.http.sockets import Socket

STALL_S = 60.0
"""How long a client may take nothing before it is given up."""
CLOSE_S = 5.0
"""How long a last word may take to be sent."""


class Outbox:
    """Sends messages; `stalled` is called once if the client takes none of them for too long."""

    def __init__(self, send: Send, socket: Socket, stalled: Callable[[], None]) -> None:
        self._send = send
        self._socket = socket
        self._stalled = stalled

    async def say(self, message: ws.ServerMessage) -> None:
        """Send a message, when the client has taken what came before; nothing, if it is gone."""
        event = {"type": "websocket.send", "text": written(message)}
        with suppress(OSError):  # ASGI's way to say that the client is gone, of which the reader hears too
            if self._socket.is_writable:
                await self._send(event)
                return
            try:
                async with asyncio.timeout(STALL_S):
                    await self._send(event)
            except TimeoutError:
                self._stalled()

    async def close(self, code: int, reason: str) -> None:
        """Send the last word; a client that does not take it is cut off."""
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._send({"type": "websocket.close", "code": code, "reason": reason})
        except TimeoutError:
            self._socket.cut()
        except OSError:
            return
