"""Anthropic's message: what an answer looks like, and how one is made of a chat completion. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Raw, Struct

from hyperinfer.contracts.openai import CompletionUsage
from hyperinfer.errors import BackendFailed

SIGNATURE = "hyperinfer"
"""Goes with thoughts, because clients send none back without one. Nobody here checks it."""
INVALID = "INVALID_JSON"
"""Under this name stands what a model wrote as a tool's input and is no object; Anthropic's guide calls it so."""
CHAT_ID = "chatcmpl-"
STOPS: Mapping[str, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
"""Why an answer ended, in both words."""


class AnsweredText(Struct, frozen=True, kw_only=True, tag_field="type", tag="text"):
    """Text."""

    text: str


class AnsweredThinking(Struct, frozen=True, kw_only=True, tag_field="type", tag="thinking"):
    """What the model thought first."""

    thinking: str
    signature: str = SIGNATURE


class AnsweredToolUse(Struct, frozen=True, kw_only=True, tag_field="type", tag="tool_use"):
    """A tool that the model calls."""

    id: str
    name: str
    input: dict[str, Any] | Raw


AnsweredBlock = AnsweredText | AnsweredThinking | AnsweredToolUse


class MessageUsage(Struct, frozen=True, kw_only=True):
    """Tokens. Those of the prompt are `input_tokens` and, where a cache had them, `cache_read_input_tokens`."""

    input_tokens: int
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 0
    output_tokens: int


class MessageReply(Struct, frozen=True, kw_only=True):
    """The reply to a request for a message. In a stream's beginning `stop_reason` is null."""

    id: str
    type: str = "message"
    role: str = "assistant"
    model: str
    content: tuple[AnsweredText | AnsweredThinking | AnsweredToolUse, ...]
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: MessageUsage


# --- what a completion says ------------------------------------------------------------------------------


class _Function(Struct, frozen=True):
    name: str
    arguments: str = ""


class _Call(Struct, frozen=True):
    id: str
    function: _Function


class _Said(Struct, frozen=True):
    content: str | None = None
    reasoning_content: str | None = None
    refusal: str | None = None
    tool_calls: tuple[_Call, ...] | None = None


class _Choice(Struct, frozen=True):
    message: _Said
    finish_reason: str
    stop_reason: str | int | None = None


class _Completion(Struct, frozen=True):
    id: str
    model: str
    choices: tuple[_Choice, ...]
    usage: CompletionUsage


_completion = msgspec.json.Decoder(_Completion)
_object = msgspec.json.Decoder(dict[str, Raw])


def message(completion: bytes | Raw, *, shows_thinking: bool = True) -> MessageReply:
    """A completion's first choice as a message. Raises `BackendFailed` for what is no completion."""
    try:
        said = _completion.decode(completion)
        choice = said.choices[0]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, IndexError) as error:
        raise BackendFailed("The worker's answer is no chat completion.") from error
    reason, sequence = stop_of(
        choice.finish_reason,
        choice.stop_reason,
        refused=bool(choice.message.refusal),
        calls_tools=bool(choice.message.tool_calls),
    )
    return MessageReply(
        id=message_id(said.id),
        model=said.model,
        content=tuple(_blocks(choice.message, shows_thinking=shows_thinking)),
        stop_reason=reason,
        stop_sequence=sequence,
        usage=usage_of(said.usage),
    )


def message_id(completion_id: str) -> str:
    """The id of a message, from which that of its completion can be told."""
    return f"msg_{completion_id.removeprefix(CHAT_ID)}"


def stop_of(reason: str, stopped_by: str | int | None, *, refused: bool, calls_tools: bool) -> tuple[str, str | None]:
    """Why an answer ended, and the text that ended it where the model's server tells."""
    if refused:
        return "refusal", None
    if calls_tools and reason == "stop":
        return "tool_use", None
    if reason == "stop" and isinstance(stopped_by, str):
        return "stop_sequence", stopped_by
    return STOPS.get(reason, "end_turn"), None


def usage_of(usage: CompletionUsage) -> MessageUsage:
    """The same, of which what a cache had is told apart."""
    details = usage.prompt_tokens_details
    cached = min(details.cached_tokens, usage.prompt_tokens) if isinstance(details, Struct) else 0
    return MessageUsage(
        input_tokens=usage.prompt_tokens - cached,
        cache_read_input_tokens=cached,
        output_tokens=usage.completion_tokens,
    )


def tool_input(arguments: str) -> Raw | dict[str, Any]:
    """A tool's input: the object that the model wrote. What is none is kept as it is, under a name that says so."""
    try:
        _object.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        return {} if arguments.strip() in ("", "null") else {INVALID: arguments}
    return Raw(arguments.encode())


def _blocks(said: _Said, *, shows_thinking: bool) -> Iterator[AnsweredBlock]:
    if said.reasoning_content:
        yield AnsweredThinking(thinking=said.reasoning_content if shows_thinking else "")
    if text := (said.content or "") + (said.refusal or ""):
        yield AnsweredText(text=text)
    for call in said.tool_calls or ():
        yield AnsweredToolUse(id=call.id, name=call.function.name, input=tool_input(call.function.arguments))
