"""The journal's lines: a kind and a JSON text under a checksum, so that what was torn or altered is found. Pure."""

from typing import Any
from zlib import crc32

import msgspec

from hyperinfer.contracts.usage import UsageRecord

FORMAT = b"j"
"""The first line of a segment: the version of what follows, a whole number."""
BEGUN = b"b"
"""A request that has been let in: the `UsageRecord` that is true of it if nobody settles it."""
NOTED = b"n"
"""What requests under way have used so far: an array of `Note`."""
SETTLED = b"s"
"""A request that has ended: its `UsageRecord`, to be delivered."""
KEPT = b"w"
"""What token windows hold now: an array of `TokenWindow`."""
DELIVERED = b"d"
"""Everything settled before this position has been delivered."""

VERSION = 1
MAX_ITEMS = 500
"""Items of an array in one line."""
MAX_LINE_BYTES = 256 * 1024
"""No line is longer; a longer one in a file is damage."""

_encoder = msgspec.json.Encoder()


class Note(msgspec.Struct, frozen=True, array_like=True):
    """What one request has used so far. `model` and `worker` are told when they change."""

    id: str
    prompt_tokens: int
    completion_tokens: int
    duration_ms: float
    first_token_ms: float | None = None
    model: str | None = None
    worker: str | None = None


class TokenWindow(msgspec.Struct, frozen=True, array_like=True):
    """Tokens that a subject has used in one window of one kind. `until` is when it means nothing any more; `start` and
    `until` in seconds since the epoch."""

    subject: str
    kind: str
    start: int
    until: int
    tokens: int


records = msgspec.json.Decoder(UsageRecord)
notes = msgspec.json.Decoder(tuple[Note, ...])
windows = msgspec.json.Decoder(tuple[TokenWindow, ...])
positions = msgspec.json.Decoder(int)


def line_of(kind: bytes, content: Any) -> bytes:
    """A line, its end included."""
    text = kind + _encoder.encode(content)
    return b"%08x %b\n" % (crc32(text), text)


def kind_of(line: bytes) -> bytes:
    """The kind of a line that is as it was written."""
    return line[9:10]


def content_of(line: bytes) -> tuple[bytes, bytes] | None:
    """The kind and the JSON text of a line, its end included; nothing if it is not as it was written."""
    if len(line) < 11 or line[8:9] != b" " or not line.endswith(b"\n"):
        return None
    text = line[9:-1]
    return (text[:1], text[1:]) if line[:8] == b"%08x" % crc32(text) else None
