"""OpenAI's request for a response, as much of it as is understood.

Unknown fields are passed over, a known one of a wrong type is refused. Of fields typed `Anything` it is only known
whether they are there; `fields.py` says what becomes of each.
"""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct

from hyperinfer.contracts.openai import Anything, JsonObjectFormat, TextFormat
from hyperinfer.contracts.openai.content import FunctionName

Metadata = Annotated[dict[str, Annotated[str, Meta(max_length=512)]], Meta(max_length=16)]
Tier = Literal["auto", "default", "flex", "priority", "scale", "fast", "ultrafast"]
Included = Literal[
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
]
LOGPROBS: Included = "message.output_text.logprobs"

# --- what is said ----------------------------------------------------------------------------------------


class InputText(Struct, frozen=True, tag_field="type", tag="input_text"):
    """Text of whoever asks, or of a function."""

    text: str


class InputImage(Struct, frozen=True, tag_field="type", tag="input_image"):
    """An image: only `data:` URLs are taken. `detail` is how closely it shall be looked at."""

    image_url: str | None = None
    file_id: str | None = None
    detail: Literal["auto", "low", "high", "original"] | None = None


class InputFile(Struct, frozen=True, tag_field="type", tag="input_file"):
    """A file."""


class InputAudio(Struct, frozen=True, tag_field="type", tag="input_audio"):
    """A sound."""


class OutputText(Struct, frozen=True, tag_field="type", tag="output_text"):
    """Text of an earlier answer."""

    text: str


class OutputRefusal(Struct, frozen=True, tag_field="type", tag="refusal"):
    """An earlier refusal, in words."""

    refusal: str


class ReasoningText(Struct, frozen=True, tag_field="type", tag="reasoning_text"):
    """What a model thought before an earlier answer."""

    text: str


ItemPart = InputText | InputImage | InputFile | InputAudio | OutputText | OutputRefusal | ReasoningText


class InputItem(Struct, frozen=True, kw_only=True):
    """One item of the conversation. Which fields it has depends on its `type`: a message, without one that is said; a
    function's call or its output; what a model thought. The other types are refused by name.
    """

    type: str | None = None
    role: Literal["user", "assistant", "system", "developer"] | None = None
    content: str | tuple[ItemPart, ...] | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: str | tuple[ItemPart, ...] | None = None


# --- how it shall be answered ----------------------------------------------------------------------------


class ResponseTool(Struct, frozen=True, kw_only=True):
    """A tool that the model may call; all but functions are refused by name. `parameters` is a JSON schema."""

    type: str
    name: FunctionName | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    defer_loading: bool | None = None
    allowed_callers: tuple[str, ...] | None = None


class ResponseToolChoice(Struct, frozen=True):
    """The function that has to be called; every other type is refused by name."""

    type: str
    name: str | None = None


class SchemaFormat(Struct, frozen=True, tag_field="type", tag="json_schema", kw_only=True):
    """JSON that is valid under a schema."""

    name: str
    schema: dict[str, Any]
    description: str | None = None
    strict: bool | None = None


class TextOptions(Struct, frozen=True):
    """Of which form the text shall be, and how much of it."""

    format: TextFormat | JsonObjectFormat | SchemaFormat | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class ReasoningOptions(Struct, frozen=True):
    """How hard a model shall think. There is no summary of it: what it thinks is told in full."""

    effort: str | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None
    generate_summary: Literal["auto", "concise", "detailed"] | None = None
    context: Literal["auto", "current_turn", "all_turns"] | None = None
    mode: str | None = None


class ImageOptions(Struct, frozen=True):
    """Whether images may be made smaller; none are."""

    context_compression: Literal["auto", "enabled", "disabled"] | None = None


class ResponseStreamOptions(Struct, frozen=True):
    """`include_obfuscation` fills the events of a stream up with noise, so that their sizes tell less of what they hold."""

    include_obfuscation: bool | None = None


class ResponseRequest(Struct, frozen=True, kw_only=True):
    """The body of `POST /v1/responses`.

    Source: https://platform.openai.com/docs/api-reference/responses/create
    """

    input: str | tuple[InputItem, ...]
    model: str | None = None
    instructions: str | None = None
    stream: bool | None = None
    stream_options: ResponseStreamOptions | None = None
    max_output_tokens: Annotated[int, Meta(ge=1)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    include: tuple[Included, ...] | None = None
    text: TextOptions | None = None
    tools: Annotated[tuple[ResponseTool, ...], Meta(max_length=128)] | None = None
    tool_choice: Literal["none", "auto", "required"] | ResponseToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_tool_calls: Annotated[int, Meta(ge=1)] | None = None
    reasoning: ReasoningOptions | None = None
    image: ImageOptions | None = None
    metadata: Metadata | None = None
    service_tier: Tier | None = None
    store: bool | None = None
    truncation: Literal["auto", "disabled"] | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    access_programs: Anything = UNSET
    background: Anything = UNSET
    context_management: Anything = UNSET
    conversation: Anything = UNSET
    moderation: Anything = UNSET
    previous_response_id: Anything = UNSET
    prompt: Anything = UNSET

    @property
    def wants_logprobs(self) -> bool:
        """Whether each token's likelihood is to be told."""
        return LOGPROBS in (self.include or ()) or bool(self.top_logprobs)
