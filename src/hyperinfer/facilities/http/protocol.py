"""uvicorn's HTTP/1.1 connection, with what a client may take of time and room bounded, and one write in each turn of the loop."""

import asyncio
from typing import Any, cast

import httptools
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from hyperinfer.facilities.http.coalesced import CoalescedTransport
from hyperinfer.facilities.http.refusals import no_room, refusal

HEAD_TIMEOUT_S = 15.0
"""How long a client may take for a request's line and headers."""
REST_TIMEOUT_S = 15.0
"""How long the rest of a body is let come, to be thrown away, that has been answered already."""
MAX_HEAD_BYTES = 64 * 1024
EXCESS = 64
"""Connections beyond the bound that are told so. Further ones are cut."""
HOP = (b"connection", b"upgrade", b"http2-settings")
"""What an offer of another protocol consists of (RFC 9110, 7.8; RFC 7540, 3.2)."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection. A head must arrive within `HEAD_TIMEOUT_S` and `MAX_HEAD_BYTES`, or the connection ends.

    An offer of a protocol that is not spoken here is passed over: such a request counts as it is. The parser would
    take its body for the other protocol's, and uvicorn lose it (so it does with Java's client, which offers HTTP/2).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._max_connections = self.limit_concurrency
        self.limit_concurrency = None  # upstream counts idle connections as well, and then refuses everybody
        self._in_head = True
        self._head_bytes = 0
        self._between = True
        self._begun = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._rest_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as upstream
        self._out = CoalescedTransport(transport, self.loop)
        super().connection_made(cast(asyncio.Transport, self._out))
        excess = len(self.connections) - (self._max_connections or len(self.connections))
        if excess > EXCESS:
            self.transport.abort()
        elif excess > 0:
            self.app = no_room
            self.ws_protocol_class = None
        self._arm()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._out.watch()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():
            self._out.watch_no_more()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        self._end_rest()
        super().connection_lost(exc)
        self._out.watch_no_more()

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        was_between, self._begun = self._between, 0
        self._parse(data)
        if not self._in_head:
            if self._head_timer is not None:
                self._disarm()
            return
        if not self._begun:
            self._head_bytes += len(data)
        else:  # where in the packet it begins is known of the first of its requests only
            self._head_bytes = len(data) if was_between and self._begun == 1 else 0
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(431, f"The headers are larger than {MAX_HEAD_BYTES // 1024} KiB.", code="headers_too_large")
        elif self._head_timer is None:
            self._arm()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._between = True, False
        self._begun += 1

    def on_header(self, name: bytes, value: bytes) -> None:
        if (
            self._in_head
        ):  # what stands behind a body's chunks is no header (RFC 9110, 6.5.1), and may go on without end
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._is_passed_over:
            return
        self._in_head = False
        if self.parser.get_http_version() != "1.0":
            super().on_headers_complete()
            return
        app = self.app
        old = _UntilTheEnd(cast(ASGIApp, app))
        self.app = cast(Any, old)
        super().on_headers_complete()
        self.app, old.cycle = app, self.cycle

    def on_message_complete(self) -> None:
        if not self._is_passed_over:
            self._between = True
            self._end_rest()
            super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete and self.cycle.more_body and not self.transport.is_closing():
            self._rest_timer = self.loop.call_later(REST_TIMEOUT_S, self.transport.abort)

    @property
    def _is_passed_over(self) -> bool:
        """Whether the request that is being read is to be read again, without its offer of another protocol."""
        return bool(self.parser.should_upgrade()) and not self._should_upgrade()

    def _parse(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserError:
                self._refuse(400, "This is no HTTP/1.1 request that can be understood.", code="malformed_request")
                return
            except httptools.HttpParserUpgrade as upgrade:
                if self._should_upgrade():
                    self.handle_websocket_upgrade()
                    return
                if self.parser.get_method() == b"CONNECT":
                    self._refuse(405, "This server is no proxy: it knows no CONNECT.", code="method_not_allowed")
                    return
                data = self._head_without_offer() + data[upgrade.args[0] :]

    def _head_without_offer(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        lines += [b"%b: %b" % (name, value) for name, value in self.headers if name not in HOP]
        return b"\r\n".join([*lines, b"", b""])

    def _refuse(self, status: int, message: str, *, code: str) -> None:
        """End the connection, and say why unless this would be taken for the answer to an earlier request."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle and not cycle.response_complete and (cycle.response_started or not cycle.more_body):
            self.transport.abort()
            return
        headers, body = refusal(message, code=code)
        lines = [b"%b: %b\r\n" % header for header in (*self.server_state.default_headers, *headers)]
        self.transport.write(b"".join([STATUS_LINE[status], *lines, b"\r\n", body]))
        self.transport.close()

    def _arm(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self.transport.abort)

    def _disarm(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _end_rest(self) -> None:
        if self._rest_timer is not None:
            self._rest_timer.cancel()
            self._rest_timer = None


class _UntilTheEnd:
    """An app for a client of HTTP/1.0, which knows no chunks: an answer of unknown length goes on until the connection ends."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.cycle: RequestResponseCycle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sized = False

        async def to_old(message: Message) -> None:
            nonlocal sized
            if message["type"] == "http.response.start":
                sized = b"content-length" in dict(message.get("headers", ()))
                self.cycle.chunked_encoding = None if sized else False
            elif not sized:
                self.cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await self._app(scope, receive, to_old)
