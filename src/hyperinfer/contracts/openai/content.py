"""Messages and what they are made of, as OpenAI's chat API has them."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

Role = Literal["system", "developer", "user", "assistant", "tool", "function"]
Anything = Raw | UnsetType
"""A field that we only have to know to be there, so that it can be refused by name."""


class TextPart(Struct, frozen=True, tag_field="type", tag="text"):
    """Text in a message's content."""

    text: str


class RefusalPart(Struct, frozen=True, tag_field="type", tag="refusal"):
    """An assistant's earlier refusal, in words."""

    refusal: str


class ImageUrl(Struct, frozen=True):
    """Where an image is; only `data:` URLs are taken. `detail` is how closely it shall be looked at."""

    url: str
    detail: Literal["auto", "low", "high"] | None = None


class ImagePart(Struct, frozen=True, tag_field="type", tag="image_url"):
    """An image in a message's content."""

    image_url: ImageUrl


class AudioPart(Struct, frozen=True, tag_field="type", tag="input_audio"):
    """A sound in a message's content."""


class FilePart(Struct, frozen=True, tag_field="type", tag="file"):
    """A file in a message's content."""


Part = TextPart | RefusalPart | ImagePart | AudioPart | FilePart


class CalledFunction(Struct, frozen=True):
    """A function that a model called; `arguments` is JSON in a string, as the model wrote it."""

    name: str
    arguments: str


class ToolCall(Struct, frozen=True, omit_defaults=False):
    """A tool that an assistant called earlier in the conversation."""

    id: str
    function: CalledFunction
    type: Literal["function"] = "function"


class Message(Struct, frozen=True, omit_defaults=True):
    """One message of a conversation. `tool_call_id` says which call a tool's message answers."""

    role: Role
    content: str | tuple[Part, ...] | None = None
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] | None = None
    tool_call_id: str | None = None
    reasoning_content: str | None = None


# --- tools -----------------------------------------------------------------------------------------------

FunctionName = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_.-]{1,64}$")]


class Function(Struct, frozen=True, omit_defaults=True):
    """A function that the model may call; `parameters` is a JSON schema."""

    name: FunctionName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class FunctionTool(Struct, frozen=True, tag_field="type", tag="function"):
    """A tool of the caller's: calling it is the caller's part."""

    function: Function


class CustomTool(Struct, frozen=True, tag_field="type", tag="custom"):
    """A tool with free text as its input."""


Tool = FunctionTool | CustomTool


class FunctionChoice(Struct, frozen=True):
    """The function that has to be called."""

    name: FunctionName


class NamedTool(Struct, frozen=True, tag_field="type", tag="function"):
    """The model must call this one."""

    function: FunctionChoice


class CustomChoice(Struct, frozen=True, tag_field="type", tag="custom"):
    """The model must call this tool with free text."""


class AllowedTools(Struct, frozen=True, tag_field="type", tag="allowed_tools"):
    """The model may call some of the tools."""


ToolChoice = Literal["none", "auto", "required"] | NamedTool | CustomChoice | AllowedTools

# --- formats ---------------------------------------------------------------------------------------------


class TextFormat(Struct, frozen=True, tag_field="type", tag="text"):
    """Plain text, as without a format."""


class JsonObjectFormat(Struct, frozen=True, tag_field="type", tag="json_object"):
    """Some JSON object."""


class JsonSchema(Struct, frozen=True, omit_defaults=True):
    """A schema and its name."""

    name: str
    schema: dict[str, Any] | None = None
    description: str | None = None
    strict: bool | None = None


class JsonSchemaFormat(Struct, frozen=True, tag_field="type", tag="json_schema"):
    """JSON that is valid under a schema."""

    json_schema: JsonSchema


ResponseFormat = TextFormat | JsonObjectFormat | JsonSchemaFormat


def is_given(field: Anything) -> bool:
    """Whether a field of any type is there and not null."""
    return field is not UNSET and bytes(field) != b"null"
