"""Anthropic's requests: a message, and the tokens of one, as much of them as is understood.

Unknown fields are passed over; a known one of a wrong type is refused. Of fields typed `Anything` it is only known
whether they are there: those of `REFUSED` ask for what nobody here can do.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct

from hyperinfer.contracts.openai.content import Anything
from hyperinfer.contracts.openai.requests import Stops, Tokens
from hyperinfer.edge.dialects.anthropic.content import OnlyText, Turn

Effort = Literal["low", "medium", "high", "xhigh", "max"]
ToolName = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_.-]{1,64}$")]
Share = Annotated[float, Meta(ge=0, le=1)]

REFUSED: Mapping[str, str] = {
    "compaction": "No conversation is shortened here: summarize it by a message of your own.",
    "container": "No model here runs code.",
    "mcp_servers": "Nothing here calls MCP servers for you: call them yourself, and give them as tools.",
    "thread": "Nothing of a conversation is kept here: send all of it.",
}
"""Fields that are refused by name, and why."""
EMPTY = (b"null", b"[]", b"{}")


class ClientTool(Struct, frozen=True):
    """A tool of the caller's. Without a `type`, or with `custom`; any other is one of Anthropic's own."""

    name: ToolName
    type: str | None = None
    description: str | None = None
    input_schema: dict[str, Any] | None = None
    input_examples: tuple[dict[str, Any], ...] | None = None
    strict: bool | None = None
    allowed_callers: tuple[str, ...] | None = None


class ChooseAuto(Struct, frozen=True, tag_field="type", tag="auto"):
    """The model decides."""

    disable_parallel_tool_use: bool | None = None


class ChooseAny(Struct, frozen=True, tag_field="type", tag="any"):
    """The model must call some tool."""

    disable_parallel_tool_use: bool | None = None


class ChooseTool(Struct, frozen=True, tag_field="type", tag="tool"):
    """The model must call this tool."""

    name: str
    disable_parallel_tool_use: bool | None = None


class ChooseNone(Struct, frozen=True, tag_field="type", tag="none"):
    """The model must call no tool."""


ToolChoice = ChooseAuto | ChooseAny | ChooseTool | ChooseNone

Display = Literal["summarized", "omitted"]


class ThinkingEnabled(Struct, frozen=True, tag_field="type", tag="enabled"):
    """The model may think first, for so many tokens at most."""

    budget_tokens: Tokens
    display: Display | None = None


class ThinkingAdaptive(Struct, frozen=True, tag_field="type", tag="adaptive"):
    """The model decides whether and how long it thinks."""

    display: Display | None = None


class ThinkingBetweenTools(Struct, frozen=True, tag_field="type", tag="between_tools"):
    """The same, after what tools have answered too."""


class ThinkingDisabled(Struct, frozen=True, tag_field="type", tag="disabled"):
    """The model must not think first."""


ThinkingConfig = ThinkingEnabled | ThinkingAdaptive | ThinkingBetweenTools | ThinkingDisabled


class JsonOutputFormat(Struct, frozen=True):
    """JSON that is valid under a schema."""

    type: Literal["json_schema"]
    schema: dict[str, Any]


class OutputConfig(Struct, frozen=True):
    """The form of the answer, and how much trouble to take."""

    effort: Effort | None = None
    format: JsonOutputFormat | None = None


class RequestMetadata(Struct, frozen=True):
    """Who of the caller's users asks."""

    user_id: str | None = None


class CountTokensRequest(Struct, frozen=True, kw_only=True):
    """The body of `POST /v1/messages/count_tokens`: what of a message makes its prompt.

    Source: https://docs.anthropic.com/en/api/messages-count-tokens
    """

    messages: Annotated[tuple[Turn, ...], Meta(min_length=1, max_length=100_000)]
    model: str | None = None
    system: str | tuple[OnlyText, ...] | None = None
    tools: Annotated[tuple[ClientTool, ...], Meta(max_length=128)] | None = None
    tool_choice: ToolChoice | None = None
    thinking: ThinkingConfig | None = None
    output_config: OutputConfig | None = None
    output_format: JsonOutputFormat | None = None
    mcp_servers: Anything = UNSET
    thread: Anything = UNSET

    @property
    def format(self) -> JsonOutputFormat | None:
        """The form of the answer, under either of the field's two names."""
        return (self.output_config.format if self.output_config else None) or self.output_format


class MessagesRequest(CountTokensRequest, frozen=True, kw_only=True):
    """The body of `POST /v1/messages`.

    Source: https://docs.anthropic.com/en/api/messages
    """

    max_tokens: Tokens
    stream: bool | None = None
    stop_sequences: Stops | None = None
    temperature: Share | None = None
    top_p: Share | None = None
    top_k: Annotated[int, Meta(ge=0, lt=2**31)] | None = None
    metadata: RequestMetadata | None = None
    service_tier: Literal["auto", "standard_only"] | None = None
    inference_geo: str | None = None
    compaction: Anything = UNSET
    container: Anything = UNSET
