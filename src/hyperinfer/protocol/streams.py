"""Streams over calls, without I/O: chunks with sequence numbers one way, credit and cancellation the other.

The caller sends its request with `stream: true`, an id and a `window` in chunks. The other side pushes events
`<method>.chunk` `{id, seq, chunks}` on the same connection and answers the call itself last. The caller grants more
with `<method>.more` `{id, n}`, and stops early with `<method>.cancel` `{id}`.
"""

from collections.abc import Sequence

import msgspec

from hyperinfer.errors import RemoteError

CHUNK = ".chunk"
MORE = ".more"
CANCEL = ".cancel"

DEFAULT_WINDOW = 128
"""Chunks that a caller of ours lets the other side have under way: over 1,000 tokens a second at 100 ms round trip."""
MAX_WINDOW = 65536

StreamId = int | str


class ChunkEvent(msgspec.Struct, frozen=True):
    """Chunks in order; `seq` is the number of the first one, counted from 0 over the stream."""

    id: StreamId
    seq: int
    chunks: list[msgspec.Raw]


class MoreEvent(msgspec.Struct, frozen=True):
    """`n` chunks more may be sent."""

    id: StreamId
    n: int


class CancelEvent(msgspec.Struct, frozen=True):
    """The caller wants no more of this call."""

    id: StreamId


decode_chunk = msgspec.json.Decoder(ChunkEvent).decode
decode_more = msgspec.json.Decoder(MoreEvent).decode
decode_cancel = msgspec.json.Decoder(CancelEvent).decode


class Sending:
    """The sending side: how much credit is left, and the next number. Without a window credit never ends."""

    __slots__ = ("_credit", "_id", "_seq")

    def __init__(self, stream_id: StreamId, window: int | None) -> None:
        self._id = msgspec.json.encode(stream_id)
        self._credit = None if window is None else max(0, min(window, MAX_WINDOW))
        self._seq = 0

    def allowed(self, wanted: int) -> int:
        """How many of so many chunks may be sent now; they are then taken as sent."""
        if self._credit is None:
            return wanted
        granted = min(wanted, self._credit)
        self._credit -= granted
        return granted

    def granted(self, chunks: int) -> None:
        """The other side has given credit."""
        if self._credit is not None:
            self._credit = min(self._credit + max(0, chunks), MAX_WINDOW)

    def event(self, chunks: Sequence[bytes]) -> bytes:
        """The event that carries these chunks, each one raw JSON that is copied and never parsed."""
        seq = self._seq
        self._seq += len(chunks)
        return b'{"id":%b,"seq":%d,"chunks":[%b]}' % (self._id, seq, b",".join(chunks))


class Receiving:
    """The receiving side: chunks in order, and when to grant more."""

    __slots__ = ("_next", "_ungranted", "_window", "pending")

    def __init__(self, window: int) -> None:
        self._window = window
        self._next = 0
        self._ungranted = 0
        self.pending: list[bytes] = []

    def received(self, event: ChunkEvent) -> None:
        """Take an event. Raises `RemoteError` if a chunk is missing or more came than was granted."""
        if event.seq != self._next:
            raise RemoteError(f"The stream lost chunks: number {self._next} was due and {event.seq} came.")
        self._next += len(event.chunks)
        self.pending += map(bytes, event.chunks)
        if len(self.pending) + self._ungranted > self._window:
            raise RemoteError("The peer sent more chunks than it was granted.")

    def take(self) -> list[bytes]:
        """Everything that has come and was not taken yet."""
        taken, self.pending = self.pending, []
        return taken

    def consumed(self, chunks: int) -> int:
        """So many chunks have been passed on; says how many to grant now, in steps of half a window."""
        self._ungranted += chunks
        if self._ungranted * 2 < self._window:
            return 0
        grant, self._ungranted = self._ungranted, 0
        return grant
