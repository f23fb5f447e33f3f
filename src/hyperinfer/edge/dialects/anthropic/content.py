"""What Anthropic's messages are made of: blocks, each with its `type`, as far as they are understood here.

A block of another type, such as those of tools that Anthropic runs itself, is refused where it stands. Fields that only
steer Anthropic's own cache (`cache_control`) or tell where a text is from (`citations` of a text) are passed over.
"""

from typing import Literal

from msgspec import Raw, Struct

ImageType = Literal["image/jpeg", "image/png", "image/gif", "image/webp"]


class TextBlock(Struct, frozen=True, tag_field="type", tag="text"):
    """Text."""

    text: str


class OnlyText(Struct, frozen=True):
    """The same where nothing else may stand: a tag is looked at among several alone."""

    type: Literal["text"]
    text: str


class InlineImage(Struct, frozen=True, tag_field="type", tag="base64"):
    """An image itself."""

    media_type: ImageType
    data: str


class UrlSource(Struct, frozen=True, tag_field="type", tag="url"):
    """Where something would have to be fetched."""


class FileSource(Struct, frozen=True, tag_field="type", tag="file"):
    """A file that is kept at Anthropic."""


class ImageBlock(Struct, frozen=True, tag_field="type", tag="image"):
    """An image."""

    source: InlineImage | UrlSource | FileSource


class PlainTextSource(Struct, frozen=True, tag_field="type", tag="text"):
    """The text of a document."""

    data: str


class ContentSource(Struct, frozen=True, tag_field="type", tag="content"):
    """A document in blocks."""

    content: str | tuple[TextBlock | ImageBlock, ...]


class PdfSource(Struct, frozen=True, tag_field="type", tag="base64"):
    """A PDF itself."""


class Citations(Struct, frozen=True):
    """Whether an answer shall say which part of a document it is from."""

    enabled: bool = False


class DocumentBlock(Struct, frozen=True, tag_field="type", tag="document"):
    """A document: its text is read as if it stood in the message."""

    source: PlainTextSource | ContentSource | PdfSource | UrlSource | FileSource
    title: str | None = None
    context: str | None = None
    citations: Citations | None = None


class SearchResultBlock(Struct, frozen=True, tag_field="type", tag="search_result"):
    """What a search of the caller's has found."""

    source: str
    title: str
    content: tuple[OnlyText, ...]
    citations: Citations | None = None


class ThinkingBlock(Struct, frozen=True, tag_field="type", tag="thinking"):
    """What a model thought earlier in the conversation."""

    thinking: str


class RedactedThinkingBlock(Struct, frozen=True, tag_field="type", tag="redacted_thinking"):
    """The same, as only Anthropic could read it."""


class ToolUseBlock(Struct, frozen=True, tag_field="type", tag="tool_use"):
    """A tool that the model called earlier in the conversation; `input` is an object."""

    id: str
    name: str
    input: Raw


Found = TextBlock | ImageBlock | DocumentBlock | SearchResultBlock
"""What a user may show, and a tool may answer."""


class ToolResultBlock(Struct, frozen=True, tag_field="type", tag="tool_result"):
    """What a tool answered."""

    tool_use_id: str
    content: str | tuple[Found, ...] | None = None
    is_error: bool | None = None


Block = (
    TextBlock
    | ImageBlock
    | DocumentBlock
    | SearchResultBlock
    | ThinkingBlock
    | RedactedThinkingBlock
    | ToolUseBlock
    | ToolResultBlock
)


class Turn(Struct, frozen=True):
    """One message of a conversation."""

    role: Literal["user", "assistant", "system"]
    content: str | tuple[Block, ...]

    @property
    def blocks(self) -> tuple[Block, ...]:
        """What it is made of."""
        return (TextBlock(self.content),) if isinstance(self.content, str) else self.content
