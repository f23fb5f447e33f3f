"""Whether a model can take a chat: its tools, its format, its messages and what they are made of."""

from collections.abc import Iterator

from hyperinfer.contracts.openai import (
    ChatRequest,
    FunctionTool,
    ImagePart,
    JsonSchemaFormat,
    Message,
    NamedTool,
    RefusalPart,
    TextFormat,
    TextPart,
    is_given,
)
from hyperinfer.errors import BadRequest
from hyperinfer.workers.inference.backends import BIAS, JSON, LOGPROBS, REASONING, TOOLS, VISION
from hyperinfer.workers.inference.requests import images, schemas
from hyperinfer.workers.inference.requests.refusals import need, unsupported

MAX_ANSWERS = 32
"""Answers to one request, at most."""
NEVER = {
    "functions": "Functions are given as tools.",
    "function_call": "Which function to call is said by tool_choice.",
    "audio": "No model here speaks.",
    "web_search_options": "No model here searches the web.",
}


def check(asked: ChatRequest, capabilities: tuple[str, ...]) -> None:
    """Raise `Unsupported` or `BadRequest` for the first thing that a model with these capabilities cannot do."""
    for name, why in NEVER.items():
        if is_given(getattr(asked, name)):
            raise unsupported(name, why)
    if asked.modalities is not None and asked.modalities != ("text",):
        raise unsupported("modalities", "This model speaks text only.")
    if (asked.n or 1) > MAX_ANSWERS:
        raise BadRequest(f"n may be {MAX_ANSWERS} at most.", param="n")
    if asked.verbosity not in (None, "medium"):
        raise unsupported("verbosity", "How much this model says cannot be set; ask for it in a message.")
    if asked.reasoning_effort not in (None, "none"):
        need(REASONING, capabilities, "reasoning_effort", "This model does not think first.")
    if asked.logprobs or asked.top_logprobs:
        need(LOGPROBS, capabilities, "logprobs", "This model tells no logprobs.")
        if not asked.logprobs:
            raise BadRequest("top_logprobs needs logprobs to be true.", param="top_logprobs")
    check_bias(asked.logit_bias, capabilities)
    _check_format(asked, capabilities)
    _check_tools(asked, capabilities)
    for index, message in enumerate(asked.messages):
        _check_message(message, f"messages[{index}]", capabilities)


def check_bias(bias: dict[str, float] | None, capabilities: tuple[str, ...]) -> None:
    """Raise `Unsupported` or `BadRequest` for biases that a model cannot take."""
    if not bias:
        return
    need(BIAS, capabilities, "logit_bias", "This model takes no biases.")
    for token in bias:
        if not (token.isascii() and token.isdigit() and len(token) <= 9):
            raise BadRequest(f"logit_bias is by token number; {token[:40]!r} is none.", param="logit_bias")


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


def _check_format(asked: ChatRequest, capabilities: tuple[str, ...]) -> None:
    wanted = asked.response_format
    if wanted is None or isinstance(wanted, TextFormat):
        return
    need(JSON, capabilities, "response_format", "This model cannot be held to a format.")
    if isinstance(wanted, JsonSchemaFormat):
        param = "response_format.json_schema.schema"
        if wanted.json_schema.schema is None:
            raise BadRequest(f"{param} is missing.", param=param)
        schemas.check(wanted.json_schema.schema, param)


def _check_tools(asked: ChatRequest, capabilities: tuple[str, ...]) -> None:
    choice = asked.tool_choice
    if not asked.tools:
        if choice not in (None, "none", "auto"):
            raise BadRequest("tool_choice needs tools to choose from.", param="tool_choice")
        return
    need(TOOLS, capabilities, "tools", "This model calls no tools.")
    names = set()
    for index, tool in enumerate(asked.tools):
        if not isinstance(tool, FunctionTool):
            raise unsupported(f"tools[{index}].type", "Only functions can be called.")
        schemas.check(tool.function.parameters or {}, f"tools[{index}].function.parameters")
        names.add(tool.function.name)
    if choice is None or isinstance(choice, str):
        return
    if not isinstance(choice, NamedTool):
        raise unsupported("tool_choice", "It is none, auto, required, or one of the functions.")
    if choice.function.name not in names:
        raise BadRequest(f"tool_choice names {choice.function.name!r}, which is not among tools.", param="tool_choice")


def _check_message(message: Message, at: str, capabilities: tuple[str, ...]) -> None:
    if message.role == "function":
        raise unsupported(f"{at}.role", "What a function said is in a message of the role tool.")
    if message.role == "tool":
        need(TOOLS, capabilities, f"{at}.role", "This model calls no tools, so it cannot read what a tool said.")
        if not message.tool_call_id:
            raise BadRequest(f"{at}.tool_call_id is missing.", param=f"{at}.tool_call_id")
    if message.tool_calls:
        need(TOOLS, capabilities, f"{at}.tool_calls", "This model calls no tools.")
        if message.role != "assistant":
            raise BadRequest(f"{at}.tool_calls are an assistant's.", param=f"{at}.tool_calls")
    if message.content is None:
        if not message.tool_calls:
            raise BadRequest(f"{at}.content is missing.", param=f"{at}.content")
        return
    if isinstance(message.content, str):
        return
    for index, part in enumerate(message.content):
        where = f"{at}.content[{index}]"
        if isinstance(part, ImagePart):
            need(VISION, capabilities, where, "This model reads text only, not image_url.")
            images.check(part.image_url.url, f"{where}.image_url.url")
        elif not isinstance(part, TextPart | RefusalPart):
            raise unsupported(where, f"This model reads text only, not {part.__struct_config__.tag}.")
