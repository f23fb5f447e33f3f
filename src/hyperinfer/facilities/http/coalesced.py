"""A transport that writes once per turn of the event loop, so that a response's head and body are one packet."""

import asyncio
from typing import Any

FLUSH_BYTES = 64 * 1024
"""Beyond this it is written at once, so that a turn that never ends holds nothing back and flow control works."""


STALL_S = 120.0
"""How long a client may take nothing: longer than those who write to it wait, so that they can say so first."""


class CoalescedTransport:
    """The part of `asyncio.Transport` that uvicorn uses. What is written in one turn goes out at its end."""

    __slots__ = ("_due", "_left_bytes", "_loop", "_pending", "_size", "_transport", "_watch")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._pending: list[bytes] = []
        self._size = 0
        self._due = False
        self._watch: asyncio.TimerHandle | None = None
        self._left_bytes = 0

    def write(self, data: bytes) -> None:
        """Write at the end of this turn."""
        self._pending.append(data)
        self._size += len(data)
        if self._size > FLUSH_BYTES:
            self.flush()
        elif not self._due:
            self._due = True
            self._loop.call_soon(self._end_of_turn)

    def flush(self) -> None:
        """Write now what waits for the end of the turn."""
        if self._pending:
            data = self._pending[0] if len(self._pending) == 1 else b"".join(self._pending)
            self._pending.clear()
            self._size = 0
            if not self._transport.is_closing():  # the client may have gone since, and uvloop refuses a write then
                self._transport.write(data)

    def close(self) -> None:
        """Close once everything is written; asked again, nothing changes: the TLS of asyncio forgets itself at a second close."""
        self.flush()
        if not self._transport.is_closing():
            self._transport.close()
            self.watch()

    def abort(self) -> None:
        """Close at once."""
        self._pending.clear()
        self.watch_no_more()
        self._transport.abort()

    def watch(self) -> None:
        """Give up a client from here on that takes nothing of what there is for it for `STALL_S`: it would hold that, and its
        connection, for as long as it likes."""
        self.watch_no_more()
        self._left_bytes = self._transport.get_write_buffer_size()
        if self._left_bytes:
            self._watch = self._loop.call_later(STALL_S, self._look)

    def watch_no_more(self) -> None:
        """It has taken something, or everything."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _look(self) -> None:
        self._watch = None
        if self._transport.get_write_buffer_size() >= self._left_bytes:
            self.abort()
        else:
            self.watch()

    def is_closing(self) -> bool:
        """Whether it has been closed."""
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        """Take nothing more for now."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Go on reading."""
        self._transport.resume_reading()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Have another protocol read from here on, and be told when to pause."""
        self._transport.set_protocol(protocol)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What is known of the connection."""
        return self._transport.get_extra_info(name, default)

    def _end_of_turn(self) -> None:
        self._due = False
        self.flush()
