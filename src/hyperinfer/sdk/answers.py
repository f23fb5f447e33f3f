"""A model's answer, whole or as it comes: OpenAI's completions, chunks and embeddings read into ours."""

import array
import base64
import binascii
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Self

import msgspec

from hyperinfer.errors import BackendFailed
from hyperinfer.sdk.refusals import Refusal, from_event
from hyperinfer.sdk.replies import Answer, Embeddings, ToolCall, Usage
from hyperinfer.sdk.transport import Whole


class CalledFunction(msgspec.Struct, frozen=True):
    """A function and its arguments, or pieces of them."""

    name: str | None = None
    arguments: str | None = None


class Called(msgspec.Struct, frozen=True):
    """A tool call, or a piece of the one with this `index`."""

    index: int | None = None
    id: str | None = None
    function: CalledFunction = CalledFunction()


class Delta(msgspec.Struct, frozen=True):
    """A message, or a piece of it."""

    content: str | None = None
    reasoning_content: str | None = None
    refusal: str | None = None
    tool_calls: tuple[Called, ...] | None = None


class Choice(msgspec.Struct, frozen=True):
    """One answer; `message` or `text` where it is whole, `delta` where it is a piece."""

    index: int = 0
    delta: Delta = Delta()
    message: Delta = Delta()
    text: str | None = None
    finish_reason: str | None = None


class Completion(msgspec.Struct, frozen=True):
    """A completion or a chunk of one; `error` where a stream breaks off."""

    id: str = ""
    model: str = ""
    choices: tuple[Choice, ...] = ()
    usage: Usage | None = None
    error: Refusal | None = None


class Embedded(msgspec.Struct, frozen=True):
    """One vector: little-endian float32 in base64, or numbers from servers that know nothing else."""

    index: int
    embedding: str | tuple[float, ...]


class EmbeddingList(msgspec.Struct, frozen=True):
    """The reply to a request for embeddings."""

    data: tuple[Embedded, ...]
    model: str = ""
    usage: Usage = Usage()


_decoder = msgspec.json.Decoder(Completion)


def answer_of(reply: Whole[Completion]) -> Answer:
    """A whole answer. Raises `BackendFailed` for one that holds nothing."""
    if not reply.content.choices:
        raise BackendFailed("The answer holds no choice.")
    choice = reply.content.choices[0]
    said = Said()
    said.add(choice.message if choice.text is None else Delta(content=choice.text))
    return said.answer(reply.content, reply.content.usage or Usage(), choice.finish_reason or "stop", reply.headers)


def embeddings_of(reply: Whole[EmbeddingList]) -> Embeddings:
    """The vectors in the order of their texts. Raises `BackendFailed` for what is none."""
    return Embeddings(
        vectors=tuple(_vector(one.embedding) for one in sorted(reply.content.data, key=lambda one: one.index)),
        model=reply.content.model,
        usage=reply.content.usage,
        **_from_headers(reply.headers),
    )


class AnswerStream:
    """An answer as it comes: iterate for pieces of text; what is known of the whole is in `answer` at any time."""

    def __init__(self, reply: Whole[AsyncIterator[list[bytes]]]) -> None:
        self._headers = reply.headers
        self._pieces = self._read(reply.content)
        self._said = Said()
        self._last = Completion()
        self._usage = Usage()
        self._finish_reason = ""

    @property
    def answer(self) -> Answer:
        """The answer as far as it has come; `finish_reason` is empty while more is to come."""
        return self._said.answer(self._last, self._usage, self._finish_reason, self._headers)

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
                self._said.add(choice.delta)
                text += choice.delta.content or ""
                self._finish_reason = choice.finish_reason or self._finish_reason
        return text


@dataclass(slots=True)
class Call:
    """A tool call as far as it has come."""

    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Said:
    """What a model has said so far, piece by piece."""

    text: list[str] = field(default_factory=list)
    thinking: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    calls: dict[int, Call] = field(default_factory=dict)

    def add(self, delta: Delta) -> None:
        """What comes next."""
        for so_far, piece in (
            (self.text, delta.content),
            (self.thinking, delta.reasoning_content),
            (self.refusal, delta.refusal),
        ):
            if piece:
                so_far.append(piece)
        for called in delta.tool_calls or ():
            call = self.calls.setdefault(len(self.calls) if called.index is None else called.index, Call())
            call.id = called.id or call.id
            call.name = called.function.name or call.name
            call.arguments.append(called.function.arguments or "")

    def answer(self, frame: Completion, usage: Usage, finish_reason: str, headers: Mapping[str, str]) -> Answer:
        """All of it together."""
        return Answer(
            text="".join(self.text),
            model=frame.model,
            finish_reason=finish_reason,
            usage=usage,
            id=frame.id,
            thinking="".join(self.thinking),
            refusal="".join(self.refusal),
            tool_calls=tuple(
                ToolCall(call.id, call.name, "".join(call.arguments)) for _, call in sorted(self.calls.items())
            ),
            **_from_headers(headers),
        )


def _decode(event: bytes) -> Completion:
    try:
        return _decoder.decode(event)
    except msgspec.DecodeError as error:
        raise BackendFailed("A piece of the answer is not JSON as OpenAI's API has it.") from error


def _from_headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {"worker": headers.get("x-hyperinfer-worker", ""), "request_id": headers.get("x-request-id", "")}


def _vector(embedding: str | tuple[float, ...]) -> tuple[float, ...]:
    if not isinstance(embedding, str):
        return embedding
    try:
        numbers = array.array("f", base64.b64decode(embedding, validate=True))
    except (binascii.Error, ValueError) as error:
        raise BackendFailed("An embedding is not base64 of 32-bit numbers.") from error
    if sys.byteorder == "big":
        numbers.byteswap()
    return tuple(numbers)
