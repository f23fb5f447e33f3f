"""The route `/ws`: who may open a socket, before there is one."""

from contextlib import suppress

from starlette.types import Receive, Scope, Send

from hyperinfer.edge.errors import WebSocketOnly
from hyperinfer.edge.request import head_of
from hyperinfer.edge.ws.places import Places
from hyperinfer.edge.ws.session import Session, who_is
from hyperinfer.errors import NotFound
from hyperinfer.facilities.http.sockets import socket_of
from hyperinfer.kernel.calls import Caller
from hyperinfer.kernel.settings import HttpSettings

PATH = "/ws"


class WebSocketRoute:
    """The one path for WebSockets, as a bare ASGI endpoint; like all that reaches models it takes no cookie.

    Half of the connections that the server may have may be WebSockets.
    """

    def __init__(self, gateway: Caller, settings: HttpSettings, *, timeout_s: float) -> None:
        self._gateway = gateway
        self._message_bytes = settings.max_body_bytes
        self._timeout_s = timeout_s
        self._places = Places(max(1, settings.max_connections // 2))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one socket. Raises what refuses it; a key in its headers must be valid."""
        head = head_of(scope)
        if scope["path"] != PATH:
            raise NotFound(f"There is no WebSocket at {scope['path'][:200]!r}; it is at {PATH}.")
        if scope["type"] != "websocket":
            raise WebSocketOnly(f"{PATH} is a WebSocket: connect to it with the scheme ws or wss.")
        with self._places.taken() as place:
            who = await who_is(self._gateway, head, head.key) if head.key else None
            if who is not None:
                place.give_to(who.username)
            if (await receive())["type"] != "websocket.connect":
                return
            session = Session(
                self._gateway,
                head,
                receive=receive,
                send=send,
                socket=socket_of(scope),
                place=place,
                message_bytes=self._message_bytes,
                timeout_s=self._timeout_s,
            )
            with suppress(OSError):  # it has gone already
                await send({"type": "websocket.accept", "headers": [(b"x-request-id", head.request_id.encode())]})
                await session.run(who)
