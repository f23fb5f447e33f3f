"""Server-sent events, reading side, without I/O: bytes in, the data of whole events out.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html (lines may end in LF or CR LF; a lone CR, which
no model server sends, is not taken as an end). Names, ids and comments are passed over.
"""

from hyperinfer.errors import TooLarge

MAX_EVENT_BYTES = 4 * 1024 * 1024


class EventReader:
    """Cuts a stream of bytes, in pieces of any size, into events."""

    __slots__ = ("_data", "_rest", "_size")

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> list[bytes]:
        """The data of every event that this piece completes. Raises `TooLarge` for an event that does not end."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        events = []
        for line in lines:
            text = line[:-1] if line.endswith(b"\r") else line
            if text.startswith(b"data:"):
                self._data.append(text[6:] if text[5:6] == b" " else text[5:])
                self._size += len(text)
            elif not text and self._data:
                events.append(b"\n".join(self._data))
                self._data = []
                self._size = 0
        if self._size + len(self._rest) > MAX_EVENT_BYTES:
            raise TooLarge("An event of the stream does not end.", limit_bytes=MAX_EVENT_BYTES)
        return events
