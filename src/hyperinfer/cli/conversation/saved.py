"""A conversation in a file: as JSON to go on with it, as Markdown to read it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from hyperinfer.cli.output import target
from hyperinfer.errors import BadRequest, TooLarge

if TYPE_CHECKING:
    from hyperinfer.sdk import Message

MAX_BYTES = 8 * 1024 * 1024
JSON = ".json"


class Said(msgspec.Struct, frozen=True):
    """What one of the two has said."""

    role: Literal["user", "assistant"]
    content: str


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation, and which model was to answer how."""

    model: str | None = None
    system: str | None = None
    messages: tuple[Said, ...] = ()


def save(file: Path, conversation: Conversation) -> None:
    """Write a conversation to a new file, for its owner alone. Raises `BadRequest`."""
    with target(file) as out:
        if file.suffix == JSON:
            out.write(msgspec.json.format(msgspec.json.encode(conversation), indent=2).decode() + "\n")
        else:
            out.write(_markdown(conversation))


def load(file: Path) -> Conversation:
    """A conversation that was saved as JSON. Raises `BadRequest`, `TooLarge`."""
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadRequest(f"Cannot read {file}: {error.strerror}.") from error
    if len(content) > MAX_BYTES:
        raise TooLarge(f"{file} is too large.", limit_bytes=MAX_BYTES)
    try:
        return msgspec.json.decode(content, type=Conversation)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"{file} is no conversation that was saved as FILE.json: {error}.") from error


def messages(conversation: Conversation) -> "list[Message]":
    """As they are sent to a model."""
    return [{"role": one.role, "content": one.content} for one in conversation.messages]


def conversation(model: str | None, system: str | None, messages: "Sequence[Message]") -> Conversation:
    """A conversation as it is saved."""
    said = (Said(one["role"], one["content"]) for one in messages if isinstance(one["content"], str))  # type: ignore[arg-type]
    return Conversation(model=model, system=system, messages=tuple(said))


def _markdown(conversation: Conversation) -> str:
    parts = [f"*{conversation.system}*"] if conversation.system else []
    for one in conversation.messages:
        quoted = "\n".join(f"> {line}".rstrip() for line in one.content.splitlines())
        parts.append(quoted if one.role == "user" else one.content.strip())
    return "\n\n".join(parts) + "\n"
