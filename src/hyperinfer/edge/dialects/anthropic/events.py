"""An answer as Anthropic's clients see it come: chat chunks in, events out. No I/O.

Source: https://docs.anthropic.com/en/docs/build-with-claude/streaming
"""

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from hyperinfer.contracts.openai import CompletionUsage
from hyperinfer.edge.dialects.anthropic.answers import (
    SIGNATURE,
    AnsweredText,
    AnsweredThinking,
    AnsweredToolUse,
    MessageReply,
    MessageUsage,
    message_id,
    stop_of,
    usage_of,
)
from hyperinfer.errors import BackendFailed

# --- what comes ------------------------------------------------------------------------------------------


class FunctionDelta(Struct, frozen=True):
    """What a chunk adds to a function's call."""

    name: str | None = None
    arguments: str | None = None


class ToolDelta(Struct, frozen=True):
    """What a chunk adds to the tool call `index`."""

    index: int = 0
    id: str | None = None
    function: FunctionDelta = FunctionDelta()


class Delta(Struct, frozen=True):
    """What a chunk adds to the answer."""

    content: str | None = None
    reasoning_content: str | None = None
    refusal: str | None = None
    tool_calls: tuple[ToolDelta, ...] | None = None


class Choice(Struct, frozen=True):
    """A chunk's part of the answer; `stop_reason` is the text that ended it, where the model's server tells."""

    delta: Delta = Delta()
    finish_reason: str | None = None
    stop_reason: str | int | None = None


class Chunk(Struct, frozen=True):
    """As much of a chunk as is told."""

    id: str = ""
    model: str = ""
    choices: tuple[Choice, ...] = ()
    usage: CompletionUsage | None = None


# --- what goes -------------------------------------------------------------------------------------------


class MessageStart(Struct, frozen=True, tag_field="type", tag="message_start"):
    """The answer begins."""

    message: MessageReply


class Ping(Struct, frozen=True, tag_field="type", tag="ping"):
    """Nothing, as Anthropic's streams have it after their first event."""


class BlockStart(Struct, frozen=True, tag_field="type", tag="content_block_start"):
    """A block begins."""

    index: int
    content_block: AnsweredText | AnsweredThinking | AnsweredToolUse


class TextDelta(Struct, frozen=True, tag_field="type", tag="text_delta"):
    """More text."""

    text: str


class ThinkingDelta(Struct, frozen=True, tag_field="type", tag="thinking_delta"):
    """More thoughts."""

    thinking: str


class SignatureDelta(Struct, frozen=True, tag_field="type", tag="signature_delta"):
    """What goes back with thoughts."""

    signature: str


class InputDelta(Struct, frozen=True, tag_field="type", tag="input_json_delta"):
    """More of a tool's input."""

    partial_json: str


class BlockDelta(Struct, frozen=True, tag_field="type", tag="content_block_delta"):
    """More of a block."""

    index: int
    delta: TextDelta | ThinkingDelta | SignatureDelta | InputDelta


class BlockStop(Struct, frozen=True, tag_field="type", tag="content_block_stop"):
    """A block is whole."""

    index: int


class Stop(Struct, frozen=True):
    """Why the answer ended."""

    stop_reason: str
    stop_sequence: str | None


class MessageDelta(Struct, frozen=True, tag_field="type", tag="message_delta"):
    """Why the answer ended, and what it took in all."""

    delta: Stop
    usage: MessageUsage


class MessageStop(Struct, frozen=True, tag_field="type", tag="message_stop"):
    """The answer is whole."""


Event = MessageStart | Ping | BlockStart | BlockDelta | BlockStop | MessageDelta | MessageStop

PING = Ping()
THINKING, TEXT = -2, -1
"""The blocks that are not tools'; those of tools are known by the tool's number."""


class Events:
    """One answer: `take` its chunks in order, then `end`. `prompt_tokens` are those of the prompt, about: how many there are
    is told last, and then right. Without `shows_thinking` it is only told that there were thoughts."""

    def __init__(self, *, prompt_tokens: int, shows_thinking: bool = True) -> None:
        self._prompt_tokens = prompt_tokens
        self._shows_thinking = shows_thinking
        self._started = False
        self._open: int | None = None
        self._index = -1
        self._tools: set[int] = set()
        self._pieces = 0
        self._reason: str | None = None
        self._stopped_by: str | int | None = None
        self._refused = False
        self._usage: CompletionUsage | None = None

    def take(self, chunk: Chunk) -> Iterator[Event]:
        """What a chunk tells. Raises `BackendFailed` for tool calls that are mixed up."""
        if not self._started:
            self._started = True
            usage = MessageUsage(input_tokens=self._prompt_tokens, output_tokens=0)
            yield MessageStart(MessageReply(id=message_id(chunk.id), model=chunk.model, content=(), usage=usage))
            yield PING
        if chunk.usage is not None:
            self._usage = chunk.usage
        for choice in chunk.choices:
            yield from self._take_delta(choice.delta)
            if choice.finish_reason is not None:
                self._reason, self._stopped_by = choice.finish_reason, choice.stop_reason

    def end(self) -> Iterator[Event]:
        """What ends the answer. Raises `BackendFailed` if it is not whole."""
        if self._reason is None:
            raise BackendFailed("The answer ended without a reason.")
        yield from self._close()
        reason, sequence = stop_of(self._reason, self._stopped_by, refused=self._refused, calls_tools=bool(self._tools))
        usage = self._usage or CompletionUsage.of(self._prompt_tokens, self._pieces)
        yield MessageDelta(Stop(reason, sequence), usage_of(usage))
        yield MessageStop()

    def _take_delta(self, delta: Delta) -> Iterator[Event]:
        if delta.reasoning_content:
            yield from self._in(THINKING, AnsweredThinking(thinking="", signature=""))
            if self._shows_thinking:
                yield self._more(ThinkingDelta(delta.reasoning_content))
        if delta.content:
            yield from self._in(TEXT, AnsweredText(text=""))
            yield self._more(TextDelta(delta.content))
        if delta.refusal:
            self._refused = True
            yield from self._in(TEXT, AnsweredText(text=""))
            yield self._more(TextDelta(delta.refusal))
        for call in delta.tool_calls or ():
            yield from self._take_tool(call)

    def _take_tool(self, call: ToolDelta) -> Iterator[Event]:
        if call.index != self._open:
            if call.index in self._tools or call.index < 0:
                raise BackendFailed("The model's tool calls are mixed up.")
            self._tools.add(call.index)
            named = AnsweredToolUse(id=call.id or f"call_{call.index}", name=call.function.name or "", input={})
            yield from self._in(call.index, named)
        if call.function.arguments:
            yield self._more(InputDelta(call.function.arguments))

    def _in(self, block: int, started: AnsweredText | AnsweredThinking | AnsweredToolUse) -> Iterator[Event]:
        """Be in this block, in a new one unless it is open."""
        if self._open == block:
            return
        yield from self._close()
        self._open = block
        self._index += 1
        yield BlockStart(self._index, started)

    def _more(self, delta: TextDelta | ThinkingDelta | SignatureDelta | InputDelta) -> BlockDelta:
        self._pieces += 1
        return BlockDelta(self._index, delta)

    def _close(self) -> Iterator[Event]:
        if self._open is None:
            return
        if self._open == THINKING:
            yield BlockDelta(self._index, SignatureDelta(SIGNATURE))
        yield BlockStop(self._index)
        self._open = None


_encoder = msgspec.json.Encoder()


def written(event: Struct) -> bytes:
    """An event on the wire: it is named twice, as clients of either kind expect."""
    return b"event: %b\ndata: %b\n\n" % (str(event.__struct_config__.tag).encode(), _encoder.encode(event))
