"""Anthropic's request for a message as a chat request. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from hyperinfer.contracts.inference import Effort
from hyperinfer.contracts.openai import Anything
from hyperinfer.edge.dialects.anthropic import requests
from hyperinfer.edge.dialects.anthropic.conversation import Told
from hyperinfer.edge.dialects.anthropic.requests import (
    ChooseAny,
    ChooseAuto,
    ChooseNone,
    ChooseTool,
    ClientTool,
    CountTokensRequest,
    MessagesRequest,
    ThinkingDisabled,
    ThinkingEnabled,
)
from hyperinfer.errors import BadRequest, Unsupported

Fields = dict[str, Any]

EVERYWHERE = "global"
EFFORTS: Mapping[str, Effort] = {"low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
"""Anthropic's words for how much to think, in those that engines know."""
LOW_TOKENS, HIGH_TOKENS = 4096, 16_384
"""A budget for thinking below the first is little, one from the second on much."""
SCHEMA = "answer"
"""What the schema of an answer is called; Anthropic's have no name."""

_encoder = msgspec.json.Encoder()


def check(asked: CountTokensRequest) -> None:
    """Raise `Unsupported` for what nobody here can do."""
    for name, why in requests.REFUSED.items():
        value: Anything = getattr(asked, name, msgspec.UNSET)
        if isinstance(value, msgspec.Raw) and bytes(value) not in requests.EMPTY:
            raise Unsupported(f"{name}: {why}", param=name)
    place = getattr(asked, "inference_geo", None)
    if place not in (None, EVERYWHERE):
        raise Unsupported("inference_geo: Where a machine stands is not known here.", param="inference_geo")


def prompt(asked: CountTokensRequest, conversation: Told) -> Fields:
    """What makes a chat's prompt, the beginning of an answer included."""
    fields: Fields = {"messages": conversation.messages}
    if asked.model:
        fields["model"] = asked.model
    if asked.tools:
        fields["tools"] = [_tool(tool, f"tools[{index}]") for index, tool in enumerate(asked.tools)]
    if asked.tool_choice is not None:
        fields |= _choice(asked)
    if isinstance(asked.thinking, ThinkingDisabled):
        fields["reasoning_effort"] = "none"
    if asked.format is not None:
        schema = {"name": SCHEMA, "schema": asked.format.schema, "strict": True}
        fields["response_format"] = {"type": "json_schema", "json_schema": schema}
    return fields


def chat(asked: MessagesRequest, conversation: Told) -> Fields:
    """The whole of a chat, without the beginning of its answer."""
    before = conversation.before_answer
    if not before:
        raise BadRequest("messages: An answer needs something to answer.", param="messages")
    return prompt(asked, conversation) | {"messages": before} | dict(_sampling(asked))


def body(fields: Fields) -> msgspec.Raw:
    """A chat's body."""
    return msgspec.Raw(_encoder.encode(fields))


def effort(asked: CountTokensRequest) -> Effort:
    """How much a model may think, where it can be told; empty to leave it to the model."""
    if isinstance(asked.thinking, ThinkingDisabled):
        return ""
    if asked.output_config is not None and asked.output_config.effort is not None:
        return EFFORTS[asked.output_config.effort]
    if not isinstance(asked.thinking, ThinkingEnabled):
        return ""
    budget = asked.thinking.budget_tokens
    return "low" if budget < LOW_TOKENS else "high" if budget >= HIGH_TOKENS else "medium"


def _sampling(asked: MessagesRequest) -> Iterator[tuple[str, Any]]:
    yield "max_tokens", asked.max_tokens
    if asked.stop_sequences:
        yield "stop", asked.stop_sequences
    for name in ("temperature", "top_p", "top_k"):
        if (value := getattr(asked, name)) is not None:
            yield name, value
    if asked.metadata is not None and asked.metadata.user_id is not None:
        yield "user", asked.metadata.user_id
    if asked.stream:
        yield "stream", True
        yield "stream_options", {"include_usage": True}


def _tool(tool: ClientTool, at: str) -> Fields:
    if tool.type not in (None, "custom"):
        raise Unsupported(
            f"{at}.type: {tool.type!r} is a tool of Anthropic's own; describe it by an input_schema.",
            param=f"{at}.type",
        )
    if tool.input_schema is None:
        raise BadRequest(f"{at}.input_schema is missing.", param=f"{at}.input_schema")
    if tool.allowed_callers is not None and "direct" not in tool.allowed_callers:
        raise Unsupported(f"{at}.allowed_callers: No code of a model's runs here.", param=f"{at}.allowed_callers")
    function: Fields = {"name": tool.name, "parameters": tool.input_schema}
    if description := _description(tool.description, tool.input_examples or ()):
        function["description"] = description
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _description(description: str | None, examples: Sequence[Mapping[str, Any]]) -> str:
    """What a tool does; examples of its input are part of that, since chats have no other place for them."""
    lines = [description] if description else []
    lines += (f"Example: {_encoder.encode(example).decode()}" for example in examples)
    return "\n".join(lines)


def _choice(asked: CountTokensRequest) -> Fields:
    choice = asked.tool_choice
    if isinstance(choice, ChooseAny | ChooseTool) and not asked.tools:
        raise BadRequest("tool_choice needs tools to choose from.", param="tool_choice")
    match choice:
        case ChooseNone():
            return {"tool_choice": "none"}
        case ChooseTool(name):
            fields: Fields = {"tool_choice": {"type": "function", "function": {"name": name}}}
        case ChooseAny():
            fields = {"tool_choice": "required"}
        case _:
            fields = {"tool_choice": "auto"}
    if isinstance(choice, ChooseAuto | ChooseAny | ChooseTool) and choice.disable_parallel_tool_use:
        fields["parallel_tool_calls"] = False
    return fields
