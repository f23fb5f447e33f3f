"""A request for a response as the chat that it comes to."""

from collections.abc import Iterator, Mapping

import msgspec
from msgspec import Raw

from hyperinfer.contracts.openai import (
    Function,
    FunctionChoice,
    FunctionTool,
    JsonObjectFormat,
    JsonSchema,
    JsonSchemaFormat,
    NamedTool,
    ResponseFormat,
    ToolChoice,
)
from hyperinfer.edge.dialects.openai_responses.fields import unsupported
from hyperinfer.edge.dialects.openai_responses.items import Conversation
from hyperinfer.edge.dialects.openai_responses.requests import ResponseRequest, ResponseTool, SchemaFormat
from hyperinfer.errors import BadRequest

SAME = (
    "model",
    "parallel_tool_calls",
    "prompt_cache_key",
    "safety_identifier",
    "temperature",
    "top_p",
    "user",
)
"""Fields that a chat has, too."""
STREAMED = {"stream": True, "stream_options": {"include_usage": True}}
TIERS = {"fast": "priority"}
"""Tiers by their other name."""

_encode = msgspec.json.Encoder().encode


def chat_of(asked: ResponseRequest, conversation: Conversation, further: Mapping[str, Raw]) -> bytes:
    """The body of the chat; `further` are fields that only the model's server may know. Raises `BadRequest` and
    `Unsupported` naming the field."""
    tools = list(_tools(asked))
    fields = {
        **{name: getattr(asked, name) for name in SAME},
        "messages": conversation.messages,
        "max_completion_tokens": asked.max_output_tokens,
        "service_tier": TIERS.get(asked.service_tier or "", asked.service_tier),
        "tools": tools or None,
        "tool_choice": _choice(asked),
        "response_format": _format(asked),
        "reasoning_effort": asked.reasoning.effort if asked.reasoning else None,
        "verbosity": asked.text.verbosity if asked.text else None,
        **({"logprobs": True, "top_logprobs": asked.top_logprobs} if asked.wants_logprobs else {}),
        **(STREAMED if asked.stream else {}),
    }
    return _encode({**further} | {name: value for name, value in fields.items() if value is not None})


def _tools(asked: ResponseRequest) -> Iterator[FunctionTool]:
    for index, tool in enumerate(asked.tools or ()):
        at = f"tools[{index}]"
        _check_tool(tool, at)
        if tool.name is None:
            raise BadRequest(f"{at}.name is missing.", param=f"{at}.name")
        yield FunctionTool(
            Function(name=tool.name, description=tool.description, parameters=tool.parameters, strict=tool.strict)
        )


def _check_tool(tool: ResponseTool, at: str) -> None:
    if tool.type != "function":
        raise unsupported(f"{at}.type", f"Only functions can be called, not {tool.type[:40]!r}.")
    if tool.defer_loading:
        raise unsupported(f"{at}.defer_loading", "Nobody searches for tools here.")
    if tool.allowed_callers is not None and "direct" not in tool.allowed_callers:
        raise unsupported(f"{at}.allowed_callers", "Only the model calls functions here.")


def _choice(asked: ResponseRequest) -> ToolChoice | None:
    choice = asked.tool_choice
    if choice is None or isinstance(choice, str):
        return choice
    if choice.type != "function":
        raise unsupported("tool_choice.type", "It is none, auto, required, or one of the functions.")
    if choice.name is None:
        raise BadRequest("tool_choice.name is missing.", param="tool_choice.name")
    return NamedTool(FunctionChoice(choice.name))


def _format(asked: ResponseRequest) -> ResponseFormat | None:
    wanted = asked.text.format if asked.text else None
    if isinstance(wanted, SchemaFormat):
        return JsonSchemaFormat(
            JsonSchema(name=wanted.name, schema=wanted.schema, description=wanted.description, strict=wanted.strict)
        )
    return wanted if isinstance(wanted, JsonObjectFormat) else None
