"""What is kept of an answer, and the bytes that it is kept as."""

from dataclasses import dataclass

import msgspec

from hyperinfer.contracts.openai import ChunkChoice
from hyperinfer.workers.inference.backends import Embedded, End


@dataclass(frozen=True, slots=True)
class Said:
    """An answer in the pieces that it is given again in, and how it ended."""

    pieces: tuple[ChunkChoice, ...]
    end: End


Kept = Said | Embedded


class _Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One of the two."""

    said: Said | None = None
    embedded: Embedded | None = None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Entry).decode


def encoded(kept: Kept) -> bytes:
    """An answer as bytes."""
    return _encode(_Entry(said=kept) if isinstance(kept, Said) else _Entry(embedded=kept))


def decoded(data: bytes) -> Kept | None:
    """The answer that bytes hold; nothing if they hold none, as when another version wrote them."""
    try:
        entry = _decode(data)
    except (msgspec.DecodeError, RecursionError):
        return None
    return entry.said or entry.embedded
