"""What of an answer has gone to its caller: enough to have another worker go on with it."""

from collections.abc import Sequence

import msgspec
from msgspec import Raw

from hyperinfer.contracts.inference import Continued

MAX_BYTES = 512 * 1024
"""Longest text that is kept; an answer beyond it is not gone on with."""
MAX_UNREAD = 256
"""Chunks kept unread; most answers are over before anybody has to read them."""


class _Delta(msgspec.Struct, frozen=True):
    content: str | None = None
    reasoning_content: str | None = None
    tool_calls: Raw = Raw(b"null")


class _Choice(msgspec.Struct, frozen=True):
    delta: _Delta = _Delta()
    text: str | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct, frozen=True):
    """As much of a chunk as this needs."""

    choices: tuple[_Choice, ...] = ()


_chunk = msgspec.json.Decoder(_Chunk)


class Said:
    """The text of a single answer so far. Chunks are read late: only if somebody asks, or too many have come together."""

    __slots__ = ("_finished", "_lost", "_text", "_tokens", "_unread")

    def __init__(self) -> None:
        self._unread: list[bytes] = []
        self._text = bytearray()
        self._tokens = 0
        self._finished = False
        self._lost = False

    def take(self, chunks: Sequence[bytes]) -> None:
        """These go to the caller."""
        if self._lost:
            return
        self._unread += chunks
        if len(self._unread) > MAX_UNREAD:
            self._read()

    @property
    def finished(self) -> bool:
        """Whether the caller has been told how the answer ended: nothing of it is missing."""
        self._read()
        return self._finished

    @property
    def continued(self) -> Continued | None:
        """What another worker would go on from; `None` if nobody can: of an answer that thinks aloud or calls tools its
        text is not all there is, and one may be too long."""
        self._read()
        if self._lost or self._finished:
            return None
        return Continued(text=self._text.decode(), tokens=self._tokens)

    def _read(self) -> None:
        for chunk in self._unread:
            try:
                choices = _chunk.decode(chunk).choices
            except msgspec.DecodeError:
                self._lost = True
                break
            for choice in choices:
                self._take(choice)
        self._unread = []
        if len(self._text) > MAX_BYTES:
            self._lost = True
        if self._lost:
            self._text = bytearray()

    def _take(self, choice: _Choice) -> None:
        text = choice.delta.content or choice.text
        if text:
            self._text += text.encode(errors="replace")
            self._tokens += 1
        if choice.delta.reasoning_content or bytes(choice.delta.tool_calls) != b"null":
            self._lost = True
        if choice.finish_reason is not None:
            self._finished = True
