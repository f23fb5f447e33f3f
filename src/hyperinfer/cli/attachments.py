"""Files in a question: texts quoted under their names, images as the parts that models with eyes take."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hyperinfer.errors import BadRequest, TooLarge

if TYPE_CHECKING:
    from hyperinfer.sdk import ImagePart, Message, Part

FENCE = "```"


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file as it is sent: a quoted text, or an image. `size_bytes` is what it takes of a request."""

    size_bytes: int
    quoted: str = ""
    image: "ImagePart | None" = None


def read(path: Path, limit_bytes: int) -> Attachment:
    """A file to ask about. Raises `BadRequest` for what cannot be read, or is neither text nor such an image; `TooLarge`."""
    from hyperinfer.sdk.messages import MEDIA, image

    try:
        with path.open("rb") as file:
            content = file.read(limit_bytes + 1)
    except OSError as error:
        raise BadRequest(f"Cannot read {path}: {error.strerror}.", param="file") from error
    if len(content) > limit_bytes:
        raise TooLarge(
            f"{path} is too large: a gateway takes {limit_bytes / 10**6:.0f} MB at most.", limit_bytes=limit_bytes
        )
    if any(content.startswith(start) for start, _ in MEDIA):
        try:
            part = image(content)
        except (BadRequest, TooLarge) as error:
            raise type(error)(f"{path}: {error.message}", **error.details) from error
        return Attachment(len(part["image_url"]["url"]), image=part)
    text = _text(content)
    if text is None:
        raise BadRequest(f"{path} is neither text nor an image (PNG, JPEG, WebP, GIF).", param="file")
    quoted = quote(path.name, text)
    return Attachment(len(quoted.encode()), quoted=quoted)


def message(prompt: str, files: Sequence[Attachment], piped: str, *, limit_bytes: int) -> "Message | None":
    """A question with its files; nothing where nothing is asked. Raises `TooLarge` for more than a gateway takes."""
    from hyperinfer.sdk.messages import Message, text

    said = "\n\n".join(part for part in (prompt, *(file.quoted for file in files), piped) if part.strip())
    images = [file.image for file in files if file.image is not None]
    size_bytes = len(said.encode()) + sum(file.size_bytes for file in files if file.image is not None)
    if size_bytes > limit_bytes:
        raise TooLarge("All of it is too large: a gateway takes 8 MB at most.", limit_bytes=limit_bytes)
    if not said and not images:
        return None
    if not images:
        return Message(role="user", content=said)
    parts: list[Part] = [*([text(said)] if said else []), *images]
    return Message(role="user", content=parts)


def quote(name: str, text: str) -> str:
    """A text under its name, in a fence that is longer than any within."""
    longest = max((len(found) for found in re.findall(r"`{3,}", text)), default=0)
    fence = "`" * max(len(FENCE), longest + 1)
    return f"{name}:\n{fence}\n{text}{'' if text.endswith(chr(10)) else chr(10)}{fence}"


def _text(content: bytes) -> str | None:
    try:
        return None if b"\0" in content else content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
