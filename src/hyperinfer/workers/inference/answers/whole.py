"""An answer that is put together for a caller who wants it in one piece."""

from collections.abc import Sequence

import msgspec
from msgspec import UNSET, Raw, Struct

from hyperinfer.contracts.inference import Began
from hyperinfer.contracts.openai import (
    AnswerChoice,
    AnsweredFunction,
    AnsweredToolCall,
    AnswerMessage,
    ChunkChoice,
    Completion,
    TextChoice,
    TextCompletion,
)
from hyperinfer.errors import BackendFailed
from hyperinfer.workers.inference.answers.logprobs import joined, of_text
from hyperinfer.workers.inference.answers.stamp import Stamp
from hyperinfer.workers.inference.answers.streamed import whole_usage
from hyperinfer.workers.inference.backends import End

MAX_ANSWER_BYTES = 6 * 1024 * 1024
"""Longest answer that is put together, logprobs included; what crosses the net in one message is bounded."""
MAX_TOOL_CALLS = 128

_encoder = msgspec.json.Encoder()


class FunctionDelta(Struct, frozen=True):
    """What a chunk adds to a function's call."""

    name: str | None = None
    arguments: str | None = None


class ToolDelta(Struct, frozen=True):
    """What a chunk adds to the tool call `index`."""

    index: int = 0
    id: str | None = None
    function: FunctionDelta = FunctionDelta()


_tools = msgspec.json.Decoder(tuple[ToolDelta, ...] | None)


class _One:
    """One of the answers, as far as it has come."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.thoughts: list[str] = []
        self.refusals: list[str] = []
        self.logprobs: list[Raw] = []
        self.tools: dict[int, list[ToolDelta]] = {}
        self.size_bytes = 0

    def take(self, piece: ChunkChoice) -> None:
        delta = piece.delta
        if delta.content:
            self.texts.append(delta.content)
            self.size_bytes += len(delta.content)
        if delta.reasoning_content:
            self.thoughts.append(delta.reasoning_content)
            self.size_bytes += len(delta.reasoning_content)
        if delta.refusal:
            self.refusals.append(delta.refusal)
            self.size_bytes += len(delta.refusal)
        if isinstance(delta.tool_calls, Raw):
            self.size_bytes += len(bytes(delta.tool_calls))
            self._take_tools(delta.tool_calls)
        if isinstance(piece.logprobs, Raw) and bytes(piece.logprobs) != b"null":
            self.size_bytes += len(bytes(piece.logprobs))
            self.logprobs.append(piece.logprobs)

    def message(self) -> AnswerMessage:
        text = "".join(self.texts)
        calls = tuple(_call(index, deltas) for index, deltas in sorted(self.tools.items()))
        return AnswerMessage(
            content=text or (None if calls or self.refusals else ""),
            refusal="".join(self.refusals) or None,
            reasoning_content="".join(self.thoughts) or UNSET,
            tool_calls=calls or UNSET,
        )

    def _take_tools(self, raw: Raw) -> None:
        try:
            deltas = _tools.decode(raw) or ()
        except msgspec.DecodeError as error:
            raise BackendFailed("The backend's tool calls make no sense.") from error
        for delta in deltas:
            self.tools.setdefault(delta.index, []).append(delta)
            if len(self.tools) > MAX_TOOL_CALLS:
                raise BackendFailed("The model calls tools without end.")


class WholeAnswer:
    """Puts every answer to a request together."""

    def __init__(self, stamp: Stamp) -> None:
        self._stamp = stamp
        self._answers: dict[int, _One] = {}
        self._size_bytes = 0
        self.began = Began()

    async def take(self, pieces: Sequence[ChunkChoice]) -> None:
        """Add these. Raises `BackendFailed` for an answer beyond every bound."""
        for piece in pieces:
            answer = self._answers.setdefault(piece.index, _One())
            before = answer.size_bytes
            answer.take(piece)
            self._size_bytes += answer.size_bytes - before
        if self._size_bytes > MAX_ANSWER_BYTES:
            raise BackendFailed("The model's answer does not end.")

    async def end(self, end: End) -> Raw:
        """The whole object."""
        return Raw(_encoder.encode(self._chat(end) if self._stamp.kind == "chat" else self._text(end)))

    @property
    def text(self) -> str:
        """The first answer so far."""
        return "".join(self._answers[0].texts) if 0 in self._answers else ""

    def _chat(self, end: End) -> Completion:
        choices = []
        for index, reason in enumerate(end.finish_reasons):
            answer = self._answers.get(index) or _One()
            choices.append(
                AnswerChoice(
                    index=index,
                    message=answer.message(),
                    finish_reason=reason,
                    stop_reason=end.stopped_by or UNSET,
                    logprobs=joined(answer.logprobs),
                )
            )
        stamp = self._stamp
        return Completion(
            id=stamp.id,
            created=stamp.created,
            model=stamp.model,
            choices=tuple(choices),
            usage=whole_usage(end.usage),
        )

    def _text(self, end: End) -> TextCompletion:
        choices = []
        for index, reason in enumerate(end.finish_reasons):
            answer = self._answers.get(index) or _One()
            told = joined(answer.logprobs)
            choices.append(
                TextChoice(
                    text="".join(answer.texts),
                    index=index,
                    logprobs=None if told is None else of_text(told, 0)[0],
                    finish_reason=reason,
                )
            )
        stamp = self._stamp
        return TextCompletion(
            id=stamp.id,
            created=stamp.created,
            model=stamp.model,
            choices=tuple(choices),
            usage=whole_usage(end.usage),
        )


def _call(index: int, deltas: Sequence[ToolDelta]) -> AnsweredToolCall:
    name = "".join(delta.function.name or "" for delta in deltas)
    arguments = "".join(delta.function.arguments or "" for delta in deltas)
    named = next((delta.id for delta in deltas if delta.id), f"call_{index}")
    return AnsweredToolCall(id=named, function=AnsweredFunction(name=name, arguments=arguments))
