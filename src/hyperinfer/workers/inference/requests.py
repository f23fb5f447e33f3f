"""What a request asks for, and whether a model can give it: what it cannot is refused by name, never left out."""

from collections.abc import Iterator
from typing import Any

import msgspec

from hyperinfer.contracts.inference import ProcessRequest
from hyperinfer.contracts.openai import (
    ChatRequest,
    JsonSchemaFormat,
    Message,
    RefusalPart,
    TextFormat,
    TextPart,
    is_given,
)
from hyperinfer.errors import BadRequest, Unsupported
from hyperinfer.protocol.typed_json import decode
from hyperinfer.workers.inference.backends import JSON

MAX_SCHEMA_DEPTH = 64
"""Engines walk a schema recursively, so its depth is bounded."""
MAX_SCHEMA_BYTES = 64 * 1024

NEVER = ("tools", "functions", "function_call", "audio", "web_search_options")
"""Fields that no backend serves yet."""

_chat = msgspec.json.Decoder(ChatRequest)


def read(request: ProcessRequest) -> ChatRequest:
    """The chat request in a call, written out or as a single prompt. Raises `BadRequest`."""
    if request.prompt is not None:
        return ChatRequest(messages=(Message(role="user", content=request.prompt),))
    if not request.body:
        raise BadRequest("A request needs a body, or a prompt.", param="body")
    return decode(_chat, request.body)


def check(chat: ChatRequest, capabilities: tuple[str, ...]) -> None:
    """Raise `Unsupported` or `BadRequest` for the first thing that a model with these capabilities cannot do."""
    for name in NEVER:
        if is_given(getattr(chat, name)):
            raise _unsupported(name, f"This model takes no {name}.")
    if chat.n is not None and chat.n != 1:
        raise _unsupported("n", "This model gives one answer to a request; leave n at 1.")
    if chat.logprobs or chat.top_logprobs:
        raise _unsupported("logprobs", "This model tells no logprobs.")
    if chat.modalities is not None and chat.modalities != ("text",):
        raise _unsupported("modalities", "This model speaks text only.")
    _check_format(chat, capabilities)
    _check_bias(chat)
    for index, message in enumerate(chat.messages):
        _check_message(message, f"messages[{index}]")


def text_of(message: Message) -> str:
    """The text of a message, its parts put together."""
    if message.content is None or isinstance(message.content, str):
        return message.content or ""
    return "".join(_text_parts(message))


def _text_parts(message: Message) -> Iterator[str]:
    for part in message.content or ():
        if isinstance(part, TextPart):
            yield part.text
        elif isinstance(part, RefusalPart):
            yield part.refusal


def _check_message(message: Message, at: str) -> None:
    if message.role in ("tool", "function") or is_given(message.tool_calls):
        raise _unsupported(f"{at}.role", "This model calls no tools, so it cannot read what a tool said.")
    if message.content is None:
        raise BadRequest(f"{at}.content is missing.", param=f"{at}.content")
    if isinstance(message.content, str):
        return
    for index, part in enumerate(message.content):
        if not isinstance(part, TextPart | RefusalPart):
            kind = part.__struct_config__.tag
            raise _unsupported(f"{at}.content[{index}]", f"This model reads text only, not {kind}.")


def _check_format(chat: ChatRequest, capabilities: tuple[str, ...]) -> None:
    wanted = chat.response_format
    if wanted is None or isinstance(wanted, TextFormat):
        return
    if JSON not in capabilities:
        raise _unsupported("response_format", "This model cannot be held to a format.")
    if not isinstance(wanted, JsonSchemaFormat):
        return
    param = "response_format.json_schema.schema"
    schema = wanted.json_schema.schema
    if schema is None:
        raise BadRequest(f"{param} is missing.", param=param)
    if len(msgspec.json.encode(schema)) > MAX_SCHEMA_BYTES:
        raise BadRequest(f"{param} may have {MAX_SCHEMA_BYTES // 1024} KiB.", param=param)
    if not _is_within(schema, MAX_SCHEMA_DEPTH):
        raise BadRequest(f"{param} may be nested {MAX_SCHEMA_DEPTH} deep.", param=param)


def _check_bias(chat: ChatRequest) -> None:
    for token in chat.logit_bias or ():
        if not (token.isascii() and token.isdigit() and len(token) <= 9):
            raise BadRequest(f"logit_bias is by token number; {token[:40]!r} is none.", param="logit_bias")


def _is_within(value: Any, depth: int) -> bool:
    if depth == 0:
        return False
    if isinstance(value, dict):
        return all(_is_within(child, depth - 1) for child in value.values())
    if isinstance(value, list):
        return all(_is_within(child, depth - 1) for child in value)
    return True


def _unsupported(param: str, why: str) -> Unsupported:
    return Unsupported(f"{param}: {why}", param=param)
