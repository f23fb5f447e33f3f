"""OpenAI's chat completions: what we read of a request and of a backend's chunks, and what we write.

Field names are OpenAI's own. Unknown fields are passed over, as OpenAI does; a known one of a wrong type is refused.
Source: https://platform.openai.com/docs/api-reference/chat
"""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

# --- the request -----------------------------------------------------------------------------------------

Role = Literal["system", "developer", "user", "assistant", "tool", "function"]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
Tokens = Annotated[int, Meta(ge=1)]
Stop = Annotated[str, Meta(min_length=1, max_length=1024)]
Stops = Annotated[tuple[Stop, ...], Meta(max_length=16)]
Bias = Annotated[dict[str, Annotated[float, Meta(ge=-100, le=100)]], Meta(max_length=1024)]
Anything = Raw | UnsetType
"""A field that we only have to know to be there, so that it can be refused by name."""


class TextPart(Struct, frozen=True, tag_field="type", tag="text"):
    """Text in a message's content."""

    text: str


class RefusalPart(Struct, frozen=True, tag_field="type", tag="refusal"):
    """An assistant's earlier refusal, in words."""

    refusal: str


class ImagePart(Struct, frozen=True, tag_field="type", tag="image_url"):
    """An image in a message's content."""


class AudioPart(Struct, frozen=True, tag_field="type", tag="input_audio"):
    """A sound in a message's content."""


class FilePart(Struct, frozen=True, tag_field="type", tag="file"):
    """A file in a message's content."""


Part = TextPart | RefusalPart | ImagePart | AudioPart | FilePart


class Message(Struct, frozen=True):
    """One message of a conversation."""

    role: Role
    content: str | tuple[Part, ...] | None = None
    tool_calls: Anything = UNSET


class StreamOptions(Struct, frozen=True):
    """`include_usage` asks for one more chunk with the usage, last."""

    include_usage: bool | None = None


class TextFormat(Struct, frozen=True, tag_field="type", tag="text"):
    """Plain text, as without a format."""


class JsonObjectFormat(Struct, frozen=True, tag_field="type", tag="json_object"):
    """Some JSON object."""


class JsonSchema(Struct, frozen=True):
    """A schema and its name."""

    name: str
    schema: dict[str, Any] | None = None


class JsonSchemaFormat(Struct, frozen=True, tag_field="type", tag="json_schema"):
    """JSON that is valid under a schema."""

    json_schema: JsonSchema


ResponseFormat = TextFormat | JsonObjectFormat | JsonSchemaFormat


class ChatRequest(Struct, frozen=True, kw_only=True):
    """The body of `POST /v1/chat/completions`.

    Of the fields typed `Anything` it is only known whether they are there.
    """

    messages: Annotated[tuple[Message, ...], Meta(min_length=1)]
    model: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Tokens | None = None
    max_completion_tokens: Tokens | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    stop: Stop | Stops | None = None
    seed: int | None = None
    logit_bias: Bias | None = None
    response_format: ResponseFormat | None = None
    user: str | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    tools: Anything = UNSET
    tool_choice: Anything = UNSET
    functions: Anything = UNSET
    function_call: Anything = UNSET
    modalities: tuple[str, ...] | None = None
    audio: Anything = UNSET
    web_search_options: Anything = UNSET

    @property
    def limit_tokens(self) -> int | None:
        """How many tokens the answer may have, under either of the field's two names."""
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens

    @property
    def stops(self) -> tuple[str, ...]:
        """The texts that end the answer."""
        if self.stop is None:
            return ()
        return (self.stop,) if isinstance(self.stop, str) else self.stop

    @property
    def wants_usage(self) -> bool:
        """Whether a streamed answer ends with a usage chunk."""
        return self.stream_options is not None and bool(self.stream_options.include_usage)


# --- the answer ------------------------------------------------------------------------------------------


class CachedTokens(Struct, frozen=True):
    """How many tokens of the prompt needed no work."""

    cached_tokens: int = 0


class CompletionUsage(Struct, frozen=True):
    """Tokens as the engine's tokenizer counted them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    prompt_tokens_details: CachedTokens | UnsetType | None = UNSET


class Delta(Struct, frozen=True):
    """What a chunk adds to the answer."""

    content: str | None = None
    reasoning_content: str | None = None


class ChunkChoice(Struct, frozen=True):
    """A chunk's part of one answer."""

    delta: Delta = Delta()
    finish_reason: str | None = None


class ChunkError(Struct, frozen=True):
    """A failure after the stream has begun."""

    message: str = ""


class Chunk(Struct, frozen=True):
    """As much of a backend's chunk as goes on; whatever else it says stays behind."""

    choices: tuple[ChunkChoice, ...] = ()
    usage: CompletionUsage | None = None
    error: ChunkError | None = None


class AnswerMessage(Struct, frozen=True):
    """The whole answer. `reasoning_content` is there where the model thinks aloud."""

    content: str
    role: str = "assistant"
    refusal: None = None
    reasoning_content: str | UnsetType = UNSET


class AnswerChoice(Struct, frozen=True):
    """One answer and why it ended."""

    message: AnswerMessage
    finish_reason: str
    index: int = 0
    logprobs: None = None


class Completion(Struct, frozen=True, kw_only=True):
    """The reply to a request that is not streamed."""

    id: str
    object: str = "chat.completion"
    created: int
    model: str
    choices: tuple[AnswerChoice, ...]
    usage: CompletionUsage


def is_given(field: Anything) -> bool:
    """Whether a field of any type is there and not null."""
    return not isinstance(field, UnsetType) and bytes(field) != b"null"
