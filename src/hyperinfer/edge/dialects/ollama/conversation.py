"""A conversation in Ollama's form, as OpenAI has it: images beside texts, tool calls whose arguments are objects. Pure."""

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from msgspec import UNSET, Raw, Struct

from hyperinfer.contracts.openai.content import Anything, is_given
from hyperinfer.errors import BadRequest, Unsupported
from hyperinfer.protocol.typed_json import object_text

SNIFFED_CHARS = 24
"""As much of an image in base64 as tells its type."""
TYPES: Mapping[str, tuple[bytes, ...]] = {
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/gif": (b"GIF87a", b"GIF89a"),
    "image/webp": (b"RIFF",),
}
"""How images of each type begin."""
FUNCTION = "function"


class OllamaCalled(Struct, frozen=True):
    """A function that was called; `arguments` is an object."""

    name: str
    arguments: Anything = UNSET


class OllamaCall(Struct, frozen=True):
    """A tool that the assistant called; older clients give no id."""

    function: OllamaCalled
    id: str | None = None


class OllamaMessage(Struct, frozen=True, kw_only=True):
    """One message. `images` are in base64. What a tool said names the tool, or the call by its id."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str | None = None
    thinking: str | None = None
    images: tuple[str, ...] | None = None
    tool_calls: tuple[OllamaCall, ...] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None


class OllamaFunction(Struct, frozen=True, kw_only=True):
    """A function that the model may call; `parameters` is a JSON schema."""

    name: str
    description: str | None = None
    parameters: Anything = UNSET


class OllamaTool(Struct, frozen=True, kw_only=True):
    """A tool of the caller's."""

    type: str = FUNCTION
    function: OllamaFunction


def conversation(messages: Sequence[OllamaMessage]) -> list[dict[str, Any]]:
    """The messages as OpenAI has them. Raises `BadRequest` for images and arguments that are none."""
    calls = _Calls()
    return [given(_message(message, f"messages[{index}]", calls)) for index, message in enumerate(messages)]


def said_by_user(text: str, images: Sequence[str]) -> dict[str, Any]:
    """A prompt as a message. Raises `BadRequest` for images that are none."""
    return {"role": "user", "content": _content(text, images, "images")}


def tools_of(tools: Sequence[OllamaTool]) -> list[dict[str, Any]] | None:
    """The tools as OpenAI has them. Raises `Unsupported` for what is no function."""
    for index, tool in enumerate(tools):
        if tool.type != FUNCTION:
            param = f"tools[{index}].type"
            raise Unsupported(f"{param}: Only functions can be called.", param=param)
    return [{"type": FUNCTION, "function": _function(tool.function)} for tool in tools] or None


def given(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Those fields that are something."""
    return {name: value for name, value in fields.items() if value is not None}


class _Calls:
    """The calls of a conversation that no tool has answered yet: OpenAI wants an answer to name its call."""

    def __init__(self) -> None:
        self._open: list[tuple[str, str]] = []
        self._count = 0

    def call(self, call: OllamaCall) -> str:
        """The id of a further call."""
        self._count += 1
        named = call.id or f"call_{self._count}"
        self._open.append((named, call.function.name))
        return named

    def answered(self, message: OllamaMessage) -> str:
        """The id of the call that this answers: the one that it names, the first of the tool's, or the first of all."""
        if message.tool_call_id:
            self._open = [one for one in self._open if one[0] != message.tool_call_id]
            return message.tool_call_id
        for index, (_, name) in enumerate(self._open):
            if message.tool_name in (None, "", name):
                return self._open.pop(index)[0]
        return f"call_{message.tool_name or 'unknown'}"


def _message(message: OllamaMessage, at: str, calls: _Calls) -> dict[str, Any]:
    is_tool = message.role == "tool"
    return {
        "role": message.role,
        "content": _content(message.content or "", message.images or (), f"{at}.images"),
        "reasoning_content": message.thinking or None,
        "tool_calls": list(_calls(message.tool_calls or (), f"{at}.tool_calls", calls)) or None,
        "tool_call_id": calls.answered(message) if is_tool else None,
        "name": message.tool_name or None if is_tool else None,
    }


def _calls(said: Sequence[OllamaCall], at: str, calls: _Calls) -> Iterator[dict[str, Any]]:
    for index, call in enumerate(said):
        given_as = call.function.arguments
        arguments = object_text(given_as, f"{at}[{index}].function.arguments") if isinstance(given_as, Raw) else "{}"
        function = {"name": call.function.name, "arguments": arguments}
        yield {"id": calls.call(call), "type": FUNCTION, "function": function}


def _content(text: str, images: Sequence[str], at: str) -> str | list[dict[str, Any]]:
    """Text alone, or the text and after it the images."""
    if not images:
        return text
    shown = [
        {"type": "image_url", "image_url": {"url": _data_url(image, f"{at}[{index}]")}}
        for index, image in enumerate(images)
    ]
    return [{"type": "text", "text": text}, *shown]


def _data_url(image: str, param: str) -> str:
    """An image with its type, which its first bytes tell. The worker looks at all of it."""
    try:
        beginning = base64.b64decode(image[:SNIFFED_CHARS], validate=True)
    except (binascii.Error, ValueError):
        beginning = b""
    for kind, beginnings in TYPES.items():
        if beginning.startswith(beginnings):
            return f"data:{kind};base64,{image}"
    raise BadRequest(f"{param} is no PNG, JPEG, GIF or WebP in base64.", param=param)


def _function(function: OllamaFunction) -> dict[str, Any]:
    return given(
        {
            "name": function.name,
            "description": function.description,
            "parameters": function.parameters if is_given(function.parameters) else None,
        }
    )
