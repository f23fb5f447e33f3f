"""uvicorn's WebSocket connection, with what may come in bounded, and what an app has to know of it beside ASGI."""

from collections.abc import Callable
from typing import Protocol

from starlette.types import Scope
from uvicorn._types import ASGISendEvent
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame
from websockets.http11 import Request

EXTENSION = "hyperinfer.socket"
"""Where the scope of a WebSocket has its `Socket`."""
FIRST_BYTES = 16 * 1024
"""How large a message may be until an app takes larger ones: until it knows whose they are."""
MAX_FRAGMENTS = 4096
"""How many pieces a message may come in: each costs more memory than its bytes, an empty one too."""
MAX_UNREAD = 1024
"""How many messages may wait to be read. More only come where a client sends ever so many tiny ones in one packet."""
PING_EVERY_S = 25.0
PONG_WITHIN_S = 60.0
"""How long a client that takes nothing is waited for; as long as the system waits where it no longer answers at all."""
BAD_HEAD = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Socket(Protocol):
    """A connection, as the app that speaks on it sees it."""

    @property
    def is_writable(self) -> bool:
        """Whether what is sent now need not wait for the client to take what was sent before."""

    def take_up_to(self, size_bytes: int) -> None:
        """Take messages of this size from now on. Larger ones end the connection with the code 1009."""

    def on_stop(self, callback: Callable[[], None]) -> None:
        """Be told when the server stops: the app then ends the connection, when it has finished what it does."""

    def cut(self) -> None:
        """End the connection at once, without a word."""


def socket_of(scope: Scope) -> Socket:
    """The connection of a WebSocket's scope."""
    socket: Socket = scope["extensions"][EXTENSION]
    return socket


class BoundedSocket(WebSocketsSansIOProtocol):
    """One connection, from its handshake on."""

    _on_stop: Callable[[], None] | None = None

    # --- what an app may ask for: the `Socket` ------------------------------------------------------------

    @property
    def is_writable(self) -> bool:
        return self.writable.is_set()

    def take_up_to(self, size_bytes: int) -> None:
        self.conn.max_message_size = size_bytes

    def on_stop(self, callback: Callable[[], None]) -> None:
        self._on_stop = callback

    def cut(self) -> None:
        self.transport.abort()

    # --- what differs from uvicorn's ----------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            # A head that is none of a WebSocket's, though our parser of HTTP took it.
            self.transport.write(b"".join(self.conn.data_to_send()) or BAD_HEAD)
            self.transport.close()

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if not self.close_sent:
            self.scope["extensions"][EXTENSION] = self  # type: ignore[assignment]  # there, and open to further ones

    def handle_cont(self, event: Frame) -> None:
        if len(self.frames) >= MAX_FRAGMENTS:
            self._fail(CloseCode.MESSAGE_TOO_BIG, "too many fragments")
        else:
            super().handle_cont(event)

    def send_receive_event_to_app(self) -> None:
        if self.queue.qsize() >= MAX_UNREAD and not self.close_sent:
            self._fail(CloseCode.POLICY_VIOLATION, "too many messages at once")
        else:
            super().send_receive_event_to_app()

    def handle_ping(self) -> None:
        pongs = b"".join(self.conn.data_to_send())
        if self.is_writable:  # RFC 6455, section 5.5.3: one pong may stand for several pings
            self.transport.write(pongs)

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": CloseCode.INTERNAL_ERROR})

    async def send(self, message: ASGISendEvent) -> None:
        await self.writable.wait()
        if self.close_sent:  # by ourselves, meanwhile: what uvicorn takes for a mistake of the app's
            raise ClientDisconnected
        await super().send(message)

    def shutdown(self) -> None:
        if self._on_stop is None or self.close_sent:
            super().shutdown()
        else:
            self._on_stop()

    def _fail(self, code: CloseCode, reason: str) -> None:
        self.frames = []
        self.conn.fail(code, reason)
        self.handle_parser_exception()
