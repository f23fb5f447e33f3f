"""Logprobs: one list from those of many chunks, and the form that the older completions API gives them."""

from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct

from hyperinfer.errors import BackendFailed


class Alternative(Struct, frozen=True):
    """A token that could have been said, and how likely."""

    token: str
    logprob: float


class Token(Struct, frozen=True):
    """A token that was said, how likely it was, and the likeliest ones there."""

    token: str
    logprob: float
    top_logprobs: tuple[Alternative, ...] = ()


class ChatLogprobs(Struct, frozen=True):
    """As chats have them; every entry goes on as it is."""

    content: tuple[Raw, ...] | None = None
    refusal: tuple[Raw, ...] | None = None


class TextLogprobs(Struct, frozen=True):
    """As completions have them: columns. `text_offset` is in characters from the answer's beginning."""

    tokens: tuple[str, ...]
    token_logprobs: tuple[float, ...]
    top_logprobs: tuple[dict[str, float], ...]
    text_offset: tuple[int, ...]


_chat = msgspec.json.Decoder(ChatLogprobs)
_token = msgspec.json.Decoder(Token)
_encoder = msgspec.json.Encoder()


def joined(pieces: Sequence[Raw]) -> Raw | None:
    """The logprobs of many chunks as one object; `None` where none told any. Raises `BackendFailed` for what is none."""
    if not pieces:
        return None
    content: list[Raw] = []
    refusal: list[Raw] = []
    for piece in pieces:
        read = _read(piece)
        content += read.content or ()
        refusal += read.refusal or ()
    return Raw(_encoder.encode(ChatLogprobs(tuple(content), tuple(refusal) or None)))


def of_text(piece: Raw, offset: int) -> tuple[Raw, int]:
    """A chunk's logprobs as completions have them, and where the next chunk's begin. Raises `BackendFailed`."""
    try:
        tokens = [_token.decode(entry) for entry in _read(piece).content or ()]
    except msgspec.DecodeError as error:
        raise BackendFailed("The backend's logprobs make no sense.") from error
    offsets = []
    for token in tokens:
        offsets.append(offset)
        offset += len(token.token)
    columns = TextLogprobs(
        tokens=tuple(token.token for token in tokens),
        token_logprobs=tuple(token.logprob for token in tokens),
        top_logprobs=tuple({one.token: one.logprob for one in token.top_logprobs} for token in tokens),
        text_offset=tuple(offsets),
    )
    return Raw(_encoder.encode(columns)), offset


def _read(piece: Raw) -> ChatLogprobs:
    try:
        return _chat.decode(piece)
    except msgspec.DecodeError as error:
        raise BackendFailed("The backend's logprobs make no sense.") from error
