"""OpenAI's response object, and what it is made of."""

from typing import Any, Literal

from msgspec import Struct

from hyperinfer.contracts.openai import CompletionUsage, JsonObjectFormat, TextFormat
from hyperinfer.edge.dialects.openai_responses.requests import (
    Metadata,
    ResponseRequest,
    ResponseToolChoice,
    SchemaFormat,
)
from hyperinfer.edge.dialects.openai_responses.said import TokenLogprob, cached_tokens

ItemStatus = Literal["in_progress", "completed", "incomplete"]
Status = Literal["in_progress", "completed", "incomplete", "failed"]

# --- output ----------------------------------------------------------------------------------------------


class TextPartSaid(Struct, frozen=True, tag_field="type", tag="output_text", kw_only=True):
    """Text of an answer. There are no annotations: nothing is searched."""

    annotations: tuple[()] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    text: str


class RefusalPartSaid(Struct, frozen=True, tag_field="type", tag="refusal", kw_only=True):
    """The model's refusal, in words."""

    refusal: str


class ReasoningPartSaid(Struct, frozen=True, tag_field="type", tag="reasoning_text", kw_only=True):
    """What the model thought."""

    text: str


PartSaid = TextPartSaid | RefusalPartSaid | ReasoningPartSaid


class MessageItem(Struct, frozen=True, tag_field="type", tag="message", kw_only=True):
    """What the model says."""

    id: str
    status: ItemStatus
    role: Literal["assistant"] = "assistant"
    content: tuple[TextPartSaid | RefusalPartSaid, ...] = ()


class ReasoningItem(Struct, frozen=True, tag_field="type", tag="reasoning", kw_only=True):
    """What the model thinks before it says something; there is no summary of it."""

    id: str
    status: ItemStatus
    summary: tuple[()] = ()
    content: tuple[ReasoningPartSaid, ...] = ()


class FunctionCallItem(Struct, frozen=True, tag_field="type", tag="function_call", kw_only=True):
    """A function that the model calls; its output goes back with the same `call_id`."""

    id: str
    status: ItemStatus
    call_id: str
    name: str
    arguments: str = ""


Item = MessageItem | ReasoningItem | FunctionCallItem

# --- the whole -------------------------------------------------------------------------------------------


class InputTokensDetails(Struct, frozen=True):
    """How many tokens of the input needed no work."""

    cached_tokens: int = 0
    cache_write_tokens: int = 0


class OutputTokensDetails(Struct, frozen=True):
    """Engines count thoughts among the output, and not apart."""

    reasoning_tokens: int = 0


class ResponseUsage(Struct, frozen=True):
    """Tokens as the engine's tokenizer counted them."""

    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    output_tokens_details: OutputTokensDetails
    total_tokens: int

    @classmethod
    def of(cls, usage: CompletionUsage) -> "ResponseUsage":
        """A chat's usage."""
        details = InputTokensDetails(cached_tokens(usage))
        total = usage.prompt_tokens + usage.completion_tokens
        return cls(usage.prompt_tokens, details, usage.completion_tokens, OutputTokensDetails(), total)


class IncompleteDetails(Struct, frozen=True):
    """Why a response is not complete."""

    reason: Literal["max_output_tokens", "content_filter"]


class ResponseFailure(Struct, frozen=True):
    """Why a response failed, by the codes that there are for that."""

    code: Literal["server_error", "rate_limit_exceeded", "invalid_prompt"]
    message: str


class FunctionShown(Struct, frozen=True, tag_field="type", tag="function", kw_only=True):
    """A function as it was given."""

    name: str | None
    description: str | None
    parameters: dict[str, Any] | None
    strict: bool | None


class TextShown(Struct, frozen=True):
    """The form of the text."""

    format: TextFormat | JsonObjectFormat | SchemaFormat
    verbosity: str


class ReasoningShown(Struct, frozen=True):
    """How hard the model was to think."""

    effort: str | None = None
    summary: str | None = None


class Response(Struct, frozen=True, kw_only=True):
    """A response; what was asked for is said again. Nothing is stored.

    Source: https://platform.openai.com/docs/api-reference/responses/object
    """

    id: str = ""
    object: Literal["response"] = "response"
    created_at: int = 0
    status: Status = "in_progress"
    background: Literal[False] = False
    completed_at: int | None = None
    error: ResponseFailure | None = None
    incomplete_details: IncompleteDetails | None = None
    instructions: str | None = None
    max_output_tokens: int | None = None
    max_tool_calls: int | None = None
    model: str = ""
    output: tuple[Item, ...] = ()
    parallel_tool_calls: bool = True
    previous_response_id: str | None = None
    prompt_cache_key: str | None = None
    reasoning: ReasoningShown = ReasoningShown()
    safety_identifier: str | None = None
    service_tier: Literal["default", "flex"] = "default"
    store: Literal[False] = False
    temperature: float | None = None
    text: TextShown
    tool_choice: Literal["none", "auto", "required"] | ResponseToolChoice = "auto"
    tools: tuple[FunctionShown, ...] = ()
    top_logprobs: int = 0
    top_p: float | None = None
    truncation: Literal["disabled"] = "disabled"
    usage: ResponseUsage | None = None
    user: str | None = None
    metadata: Metadata = {}


SAME = (
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "prompt_cache_key",
    "safety_identifier",
    "temperature",
    "top_p",
    "user",
)
"""Fields that are answered as they were asked."""


def asked_for(asked: ResponseRequest) -> Response:
    """The response that a request asks for, before there is anything of it."""
    text = asked.text
    return Response(
        **{name: getattr(asked, name) for name in SAME},
        metadata=asked.metadata or {},
        parallel_tool_calls=asked.parallel_tool_calls is not False,
        reasoning=ReasoningShown(effort=asked.reasoning.effort if asked.reasoning else None),
        service_tier="flex" if asked.service_tier == "flex" else "default",
        text=TextShown((text and text.format) or TextFormat(), (text and text.verbosity) or "medium"),
        tool_choice=asked.tool_choice or "auto",
        tools=tuple(
            FunctionShown(name=tool.name, description=tool.description, parameters=tool.parameters, strict=tool.strict)
            for tool in asked.tools or ()
        ),
        top_logprobs=asked.top_logprobs or 0,
    )
