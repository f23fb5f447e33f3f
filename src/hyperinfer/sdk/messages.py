"""Conversations as people write them down: messages of text, images and tool calls, in OpenAI's form."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

from hyperinfer.errors import BadRequest, TooLarge

MAX_IMAGE_BYTES = 6 * 1024 * 1024
"""A gateway takes 8 MB as a body, and base64 makes a third more of an image."""

MEDIA: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"RIFF", "image/webp"),
)
"""How each kind of image begins."""


class TextPart(TypedDict):
    """A text among the parts of a message."""

    type: Literal["text"]
    text: str


class ImageUrl(TypedDict):
    """Where an image is: a `data:` URL. Nothing is ever fetched."""

    url: str
    detail: NotRequired[Literal["auto", "low", "high"]]


class ImagePart(TypedDict):
    """An image among the parts of a message; `image` makes one."""

    type: Literal["image_url"]
    image_url: ImageUrl


Part = TextPart | ImagePart


class CalledFunction(TypedDict):
    """A function that the model called, and its arguments as JSON."""

    name: str
    arguments: str


class MessageToolCall(TypedDict):
    """A tool call among the messages of a conversation."""

    id: str
    type: Literal["function"]
    function: CalledFunction


class Message(TypedDict):
    """One message of a conversation; `role` is `system`, `user`, `assistant` or `tool`.

    A message of the role `tool` answers the call `tool_call_id`; one of the `assistant` may hold `tool_calls` and no
    content (`Answer.message` is such a one).
    """

    role: str
    content: str | Sequence[Part] | None
    name: NotRequired[str]
    tool_calls: NotRequired[Sequence[MessageToolCall]]
    tool_call_id: NotRequired[str]


class Function(TypedDict):
    """A function that a model may call; `parameters` is a JSON schema."""

    name: str
    description: NotRequired[str]
    parameters: NotRequired[Mapping[str, Any]]
    strict: NotRequired[bool]


class Tool(TypedDict):
    """A tool that a model may call."""

    type: Literal["function"]
    function: Function


def text(content: str) -> TextPart:
    """A part of a message that is text."""
    return TextPart(type="text", text=content)


def image(source: bytes | Path) -> ImagePart:
    """A part of a message that is an image: PNG, JPEG, GIF or WebP, as bytes or in a file, of 6 MiB at most.

    Raises `BadRequest` for anything else, `TooLarge`, and `OSError` where the file cannot be read.
    """
    content = source if isinstance(source, bytes) else _read(source)
    if len(content) > MAX_IMAGE_BYTES:
        raise TooLarge("The image is larger than 6 MiB.", limit_bytes=MAX_IMAGE_BYTES)
    media = next((media for start, media in MEDIA if content.startswith(start)), None)
    if media is None or (media == "image/webp" and content[8:12] != b"WEBP"):
        raise BadRequest("An image is PNG, JPEG, GIF or WebP.", param="image")
    return ImagePart(
        type="image_url", image_url=ImageUrl(url=f"data:{media};base64,{base64.b64encode(content).decode()}")
    )


def is_empty(messages: Sequence[Message]) -> bool:
    """Whether a conversation holds nothing to answer."""
    return not any(_says_something(message) for message in messages)


def _says_something(message: Message) -> bool:
    content = message.get("content")
    return bool(content.strip() if isinstance(content, str) else content)


def _read(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(MAX_IMAGE_BYTES + 1)
