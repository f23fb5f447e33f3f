"""A chat as the engine is sent it: only what is listed here reaches it, whatever a user sends."""

from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType

from hyperinfer.contracts.openai import (
    ChatRequest,
    FunctionTool,
    ImagePart,
    Message,
    NamedTool,
    Part,
    RefusalPart,
    ResponseFormat,
    Sampled,
    TextFormat,
    TextPart,
    Tool,
    ToolCall,
)
from hyperinfer.workers.inference.requests import text_of
from hyperinfer.workers.inference.requests.refusals import unsupported

SEEDS = 2**32 - 1
"""The engine takes this very number for "some seed", and larger ones not at all."""

V = TypeVar("V")


class EngineMessage(Struct, frozen=True, omit_defaults=True):
    """A message as templates know it."""

    role: str
    content: str | tuple[Part, ...]
    reasoning_content: str | None = None
    tool_calls: tuple[ToolCall, ...] | None = None
    tool_call_id: str | None = None


class WithUsage(Struct, frozen=True):
    """Asks for the usage at the end of a stream."""

    include_usage: bool = True


class Streamed(Struct, frozen=True, kw_only=True):
    """What every request for text has. Always streamed and with progress: otherwise a caller who goes away is not noticed
    until the answer, or a long prompt, is done."""

    stream: bool = True
    return_progress: bool = True
    cache_prompt: bool = True
    temperature: float | UnsetType = UNSET
    top_p: float | UnsetType = UNSET
    top_k: int | UnsetType = UNSET
    min_p: float | UnsetType = UNSET
    repeat_penalty: float | UnsetType = UNSET
    frequency_penalty: float | UnsetType = UNSET
    presence_penalty: float | UnsetType = UNSET
    stop: tuple[str, ...] | UnsetType = UNSET
    seed: int | UnsetType = UNSET
    logit_bias: dict[str, float] | UnsetType = UNSET


class EngineRendering(Struct, frozen=True, kw_only=True):
    """What a model's template is given."""

    messages: tuple[EngineMessage, ...]
    tools: tuple[Tool, ...] | UnsetType = UNSET
    chat_template_kwargs: dict[str, Any] | UnsetType = UNSET


class EngineChat(Streamed, frozen=True, kw_only=True):
    """A chat request to the engine."""

    messages: tuple[EngineMessage, ...]
    tools: tuple[Tool, ...] | UnsetType = UNSET
    chat_template_kwargs: dict[str, Any] | UnsetType = UNSET
    stream_options: WithUsage = WithUsage()
    max_tokens: int | UnsetType = UNSET
    response_format: ResponseFormat | UnsetType = UNSET
    tool_choice: str | UnsetType = UNSET
    parallel_tool_calls: bool | UnsetType = UNSET
    logprobs: bool | UnsetType = UNSET
    top_logprobs: int | UnsetType = UNSET
    continue_final_message: bool | UnsetType = UNSET
    add_generation_prompt: bool | UnsetType = UNSET


_encoder = msgspec.json.Encoder()


def encode(chat: ChatRequest, so_far: str = "") -> bytes:
    """The body for the engine. `so_far` is an answer that it has to go on with.

    Raises `Unsupported` for tools together with a format: a grammar holds the answer to one of them.
    """
    wanted = None if isinstance(chat.response_format, TextFormat) else chat.response_format
    tools = chat.tools
    if tools and wanted is not None:
        if chat.tool_choice != "none":
            raise unsupported("response_format", "This model calls tools or keeps to a format, not both at once.")
        tools = None
    return _encoder.encode(
        EngineChat(
            messages=(*_messages(chat), *((EngineMessage("assistant", so_far),) if so_far else ())),
            tools=tools or UNSET,
            tool_choice=chat.tool_choice if tools and isinstance(chat.tool_choice, str) else UNSET,
            parallel_tool_calls=unset(chat.parallel_tool_calls if tools else None),
            chat_template_kwargs=_thinking(chat.reasoning_effort),
            max_tokens=unset(chat.limit_tokens),
            response_format=unset(wanted),
            logprobs=chat.logprobs or UNSET,
            top_logprobs=unset(chat.top_logprobs if chat.logprobs else None),
            continue_final_message=True if so_far else UNSET,
            add_generation_prompt=False if so_far else UNSET,
            **sampled(chat),
        )
    )


def rendering(chat: ChatRequest) -> bytes:
    """The body that asks for a chat as the model's template writes it, for an answer without thinking."""
    return _rendering(chat, {"enable_thinking": False})


def bare(chat: ChatRequest) -> bytes:
    """The body that asks for a chat as the model's template writes it, as `encode` would have it answered."""
    return _rendering(chat, _thinking(chat.reasoning_effort))


def _rendering(chat: ChatRequest, options: dict[str, Any] | UnsetType) -> bytes:
    return _encoder.encode(
        EngineRendering(messages=_messages(chat), tools=chat.tools or UNSET, chat_template_kwargs=options)
    )


def sampled(request: Sampled) -> dict[str, Any]:
    """How the next token is chosen, as both kinds of request say it to the engine."""
    return {
        "temperature": unset(request.temperature),
        "top_p": unset(request.top_p),
        "top_k": unset(request.top_k),
        "min_p": unset(request.min_p),
        "repeat_penalty": unset(request.repeat_penalty),
        "frequency_penalty": unset(request.frequency_penalty),
        "presence_penalty": unset(request.presence_penalty),
        "stop": request.stops or UNSET,
        "seed": UNSET if request.seed is None else request.seed % SEEDS,
        "logit_bias": request.logit_bias or UNSET,
    }


def forced(chat: ChatRequest) -> tuple[FunctionTool, ...]:
    """The tools of which the model has to call one; none where it is free.

    The engine takes a named tool for none and lets a model say anything before the tool that it "requires"
    (ggml-org/llama.cpp, issues 26535 and 27217), so these answers are held to a schema instead.
    """
    tools = tuple(tool for tool in chat.tools or () if isinstance(tool, FunctionTool))
    choice = chat.tool_choice
    if isinstance(choice, NamedTool):
        return tuple(tool for tool in tools if tool.function.name == choice.function.name)
    return tools if choice == "required" else ()


def unset(value: V | None) -> V | UnsetType:
    """Left out where there is nothing."""
    return UNSET if value is None else value


def _messages(chat: ChatRequest) -> tuple[EngineMessage, ...]:
    return tuple(
        EngineMessage(
            role="system" if message.role == "developer" else message.role,
            content=_content(message),
            reasoning_content=message.reasoning_content,
            tool_calls=message.tool_calls,
            tool_call_id=message.tool_call_id,
        )
        for message in chat.messages
    )


def _content(message: Message) -> str | tuple[Part, ...]:
    """Text alone where there is nothing but text: not every template knows parts."""
    parts = message.content
    if not isinstance(parts, tuple) or not any(isinstance(part, ImagePart) for part in parts):
        return text_of(message)
    return tuple(TextPart(part.refusal) if isinstance(part, RefusalPart) else part for part in parts)


def _thinking(effort: str | None) -> dict[str, Any] | UnsetType:
    if effort is None:
        return UNSET
    return {"enable_thinking": effort != "none", "reasoning_effort": effort}
