"""Gathering an answer as it goes by, so that it can be kept once it is whole."""

from collections.abc import Sequence

from msgspec import UNSET

from hyperinfer.contracts.openai import ChunkChoice, Delta
from hyperinfer.workers.inference.backends import Emit, End
from hyperinfer.workers.inference.cache.kept import Said

PIECE_BYTES = 64
"""What a piece takes beside its text, at least."""
JOINED_CHARS = 2048
"""How long the pieces are in which plain text is given again."""


class Recording:
    """Passes pieces on and gathers them up to so many bytes; a longer answer is passed on alone."""

    def __init__(self, emit: Emit, *, max_bytes: int) -> None:
        self._emit = emit
        self._left_bytes = max_bytes
        self._pieces: list[ChunkChoice] = []
        self._text: list[str] = []
        self._text_chars = 0
        self._index = 0

    async def take(self, pieces: Sequence[ChunkChoice]) -> None:
        """Gather these and pass them on."""
        for piece in pieces:
            if self._left_bytes >= 0:
                self._gather(piece)
        await self._emit(pieces)

    def said(self, end: End) -> Said | None:
        """The whole answer; nothing if it is too long to be kept."""
        self._close_text()
        return Said(tuple(self._pieces), end) if self._left_bytes >= 0 else None

    def _gather(self, piece: ChunkChoice) -> None:
        text = plain_text(piece)
        if text is None:
            self._close_text()
            self._pieces.append(piece)
            self._left_bytes -= _size_of(piece)
        else:
            if piece.index != self._index or self._text_chars >= JOINED_CHARS:
                self._close_text()
            self._index = piece.index
            self._text.append(text)
            self._text_chars += len(text)
            self._left_bytes -= len(text)
        if self._left_bytes < 0:
            self._pieces.clear()
            self._text.clear()

    def _close_text(self) -> None:
        if self._text:
            self._pieces.append(ChunkChoice(Delta(content="".join(self._text)), self._index))
            self._left_bytes -= PIECE_BYTES
        self._text = []
        self._text_chars = 0


def plain_text(piece: ChunkChoice) -> str | None:
    """The text of a piece that is nothing else."""
    delta = piece.delta
    is_plain = (
        delta.content is not None
        and delta.reasoning_content is None
        and delta.refusal is None
        and delta.tool_calls is UNSET
        and piece.logprobs is UNSET
    )
    return delta.content if is_plain else None


def _size_of(piece: ChunkChoice) -> int:
    delta = piece.delta
    texts = (delta.content, delta.reasoning_content, delta.refusal)
    raws = (delta.tool_calls, piece.logprobs)
    return (
        PIECE_BYTES + sum(len(text or "") for text in texts) + sum(len(bytes(raw)) for raw in raws if raw is not UNSET)
    )
