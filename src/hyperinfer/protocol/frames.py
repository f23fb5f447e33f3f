"""Frames between Python and the swarm driver: bytes in, frames out, no I/O.

A frame is u32 length (of what follows), u8 operation, u32 id, u32 handle, u16 name length, name in UTF-8, payload;
numbers are little-endian. Payloads are opaque. The same format stands in `driver/js/frames.js`.
"""

import struct
from collections.abc import Callable
from enum import IntEnum

from hyperinfer.errors import InternalError

_HEAD = struct.Struct("<IBIIH")
_LENGTH = struct.Struct("<I")
HEAD_BYTES = _HEAD.size
MAX_FRAME_BYTES = 17 * 1024 * 1024
"""A frame above this is no frame of ours: messages end at 16 MB."""


class Op(IntEnum):
    """What a frame asks for or tells; the same numbers stand in `driver/js/ops.js`."""

    START = 1
    OPEN = 2
    LISTEN = 3
    ADMIT = 4
    SHUT = 5
    ANNOUNCE = 6
    WITHDRAW = 7
    LOOKUP = 8
    CONNECT = 9
    CLOSE = 10
    MEASURE = 15
    WHEREABOUTS = 16
    REQUEST = 11
    EVENT = 12
    RESULT = 13
    ERROR = 14
    LINK_OPENED = 20
    LINK_CLOSED = 21
    PAUSE = 22
    RESUME = 23
    STATUS = 24


OnFrame = Callable[[int, int, int, str, bytes], None]
"""Takes operation, id, handle, name and payload."""


def head(op: int, call_id: int, handle: int, name: str, payload_bytes: int) -> bytes:
    """A frame up to its payload, which follows as it is: so a payload is copied once, when the frames of a turn are."""
    word = name.encode()
    return _HEAD.pack(HEAD_BYTES - 4 + len(word) + payload_bytes, op, call_id, handle, len(word)) + word


def encode(op: int, call_id: int, handle: int, name: str = "", payload: bytes = b"") -> bytes:
    """One frame, whole."""
    return head(op, call_id, handle, name, len(payload)) + payload


class Reader:
    """Cuts what arrives into frames; what is incomplete waits for the next piece."""

    def __init__(self, on_frame: OnFrame) -> None:
        self._on_frame = on_frame
        self._pieces: list[bytes] = []
        self._size = 0
        self._wanted = 4
        self._names: dict[bytes, str] = {}

    def push(self, piece: bytes) -> None:
        """Take the next piece and pass on every frame that is complete. Raises `InternalError` for what is none."""
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size < self._wanted:
            return
        data = piece if len(self._pieces) == 1 else b"".join(self._pieces)
        at = 0
        self._wanted = 4
        while len(data) - at >= 4:
            (size,) = _LENGTH.unpack_from(data, at)
            if not HEAD_BYTES - 4 <= size <= MAX_FRAME_BYTES:
                raise InternalError(f"The driver sent a frame of {size} bytes.")
            end = at + 4 + size
            if end > len(data):
                self._wanted = end - at
                break
            _, op, call_id, handle, length = _HEAD.unpack_from(data, at)
            name_end = at + HEAD_BYTES + length
            self._on_frame(op, call_id, handle, self._name(data[at + HEAD_BYTES : name_end]), data[name_end:end])
            at = end
        rest = data[at:]
        self._pieces = [rest] if rest else []
        self._size = len(rest)

    def _name(self, word: bytes) -> str:
        name = self._names.get(word)
        if name is None:
            name = word.decode(errors="replace")
            if len(self._names) < 4096:  # few names are in use; a peer that makes up more gains nothing
                self._names[word] = name
        return name
