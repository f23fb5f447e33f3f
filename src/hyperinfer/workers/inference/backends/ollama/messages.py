"""A conversation as Ollama has it: texts with images beside them, tool calls whose arguments are objects. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from hyperinfer.contracts.openai import ImagePart, Message, ToolCall
from hyperinfer.errors import BadRequest
from hyperinfer.workers.inference.requests.chat import text_of

ROLES = {"developer": "system"}


class OllamaFunction(Struct, frozen=True):
    """A function that was called."""

    name: str
    arguments: Mapping[str, Any]
    index: int


class OllamaCall(Struct, frozen=True):
    """A tool's call."""

    id: str
    function: OllamaFunction


class OllamaMessage(Struct, frozen=True, omit_defaults=True):
    """One message. `images` are in base64; a tool's message names the tool."""

    role: str
    content: str
    thinking: str = ""
    images: tuple[str, ...] = ()
    tool_calls: tuple[OllamaCall, ...] = ()
    tool_name: str = ""
    tool_call_id: str = ""


_arguments = msgspec.json.Decoder(dict[str, Any])


def conversation(messages: Sequence[Message], *, so_far: str = "") -> tuple[OllamaMessage, ...]:
    """The messages; the last one is the answer so far, if there is one. Raises `BadRequest` for calls without sense."""
    tools: dict[str, str] = {}
    said = []
    for number, message in enumerate(messages):
        calls = message.tool_calls or ()
        tools |= {call.id: call.function.name for call in calls}
        called = message.tool_call_id or ""
        said.append(
            OllamaMessage(
                role=ROLES.get(message.role, message.role),
                content=text_of(message),
                thinking=(message.reasoning_content or "") if message.role == "assistant" else "",
                images=tuple(_images(message)),
                tool_calls=tuple(
                    _call(call, index, f"messages[{number}].tool_calls[{index}]") for index, call in enumerate(calls)
                ),
                tool_name=(message.name or tools.get(called, "")) if message.role == "tool" else "",
                tool_call_id=called if message.role == "tool" else "",
            )
        )
    if so_far:
        said.append(OllamaMessage("assistant", so_far))
    return tuple(said)


def _images(message: Message) -> Iterator[str]:
    """What is behind the comma of each data URL; the service has seen that it is an image."""
    if message.content is None or isinstance(message.content, str):
        return
    for part in message.content:
        if isinstance(part, ImagePart):
            yield part.image_url.url.partition(",")[2]


def _call(call: ToolCall, index: int, at: str) -> OllamaCall:
    try:
        arguments = _arguments.decode(call.function.arguments or "{}")
    except msgspec.DecodeError as error:
        param = f"{at}.function.arguments"
        raise BadRequest(f"{param} is no JSON object.", param=param) from error
    return OllamaCall(call.id, OllamaFunction(call.function.name, arguments, index))
