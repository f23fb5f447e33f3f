"""A model's answer, whole or as it comes: OpenAI's completions and chunks read as text."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Self

import msgspec

from hyperinfer.errors import BackendFailed
from hyperinfer.sdk.refusals import Refusal, from_event
from hyperinfer.sdk.replies import Answer, Usage


class Delta(msgspec.Struct, frozen=True):
    """The text of a message, or a piece of it."""

    content: str | None = None


class Choice(msgspec.Struct, frozen=True):
    """One answer; `message` where it is whole, `delta` where it is a piece."""

    index: int = 0
    delta: Delta = Delta()
    message: Delta = Delta()
    finish_reason: str | None = None


class Completion(msgspec.Struct, frozen=True):
    """A completion or a chunk of one; `error` where a stream breaks off."""

    id: str = ""
    model: str = ""
    choices: tuple[Choice, ...] = ()
    usage: Usage | None = None
    error: Refusal | None = None


_decoder = msgspec.json.Decoder(Completion)


def answer_of(completion: Completion) -> Answer:
    """A whole answer. Raises `BackendFailed` for one that holds nothing."""
    if not completion.choices:
        raise BackendFailed("The answer holds no choice.")
    choice = completion.choices[0]
    return Answer(
        text=choice.message.content or "",
        model=completion.model,
        finish_reason=choice.finish_reason or "stop",
        usage=completion.usage or Usage(),
        id=completion.id,
    )


class AnswerStream:
    """An answer as it comes: iterate for pieces of text; what is known of the whole is in `answer` at any time."""

    def __init__(self, batches: AsyncIterator[list[bytes]]) -> None:
        self._pieces = self._read(batches)
        self._text: list[str] = []
        self._last = Completion()
        self._usage = Usage()
        self._finish_reason = ""

    @property
    def answer(self) -> Answer:
        """The answer as far as it has come; `finish_reason` is empty while more is to come."""
        return Answer(
            text="".join(self._text),
            model=self._last.model,
            finish_reason=self._finish_reason,
            usage=self._usage,
            id=self._last.id,
        )

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        """The next piece of text. Raises what broke the answer off, if it did."""
        return await anext(self._pieces)

    async def aclose(self) -> None:
        """Take no more of it."""
        await self._pieces.aclose()

    async def _read(self, batches: AsyncIterator[list[bytes]]) -> AsyncGenerator[str]:
        async for batch in batches:
            for event in batch:
                if piece := self._take(event):
                    self._text.append(piece)
                    yield piece
        if not self._finish_reason:
            raise BackendFailed("The answer ended without saying why.")

    def _take(self, event: bytes) -> str:
        chunk = _decode(event)
        if chunk.error is not None:
            raise from_event(chunk.error)
        self._last = chunk
        self._usage = chunk.usage or self._usage
        text = ""
        for choice in chunk.choices:
            if choice.index == 0:
                text += choice.delta.content or ""
                self._finish_reason = choice.finish_reason or self._finish_reason
        return text


def _decode(event: bytes) -> Completion:
    try:
        return _decoder.decode(event)
    except msgspec.DecodeError as error:
        raise BackendFailed("A piece of the answer is not JSON as OpenAI's API has it.") from error
