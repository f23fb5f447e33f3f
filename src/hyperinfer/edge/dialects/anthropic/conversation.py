"""A conversation in Anthropic's blocks, told again as chat messages. Pure.

Turns of one role that follow each other are one message. What tools answered becomes messages of their own, in front of
what the user says in the same turn; images that a tool shows stand in the user's message, since chats show none elsewhere.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from hyperinfer.edge.dialects.anthropic.content import (
    Block,
    ContentSource,
    DocumentBlock,
    FileSource,
    Found,
    ImageBlock,
    InlineImage,
    OnlyText,
    PlainTextSource,
    RedactedThinkingBlock,
    SearchResultBlock,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
    Turn,
    UrlSource,
)
from hyperinfer.errors import BadRequest, Unsupported
from hyperinfer.protocol.typed_json import object_text

BETWEEN = "\n"
"""What stands between two texts of a message: engines put them together in the same way."""
FAILED = "Error: "
"""Chats have no mark for a tool that failed; the model reads it."""

Part = dict[str, Any]
Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """Chat messages, and for each the place in the request that it comes from."""

    messages: Sequence[Message]
    places: Sequence[str]

    @property
    def prefill(self) -> str:
        """The beginning of the answer, where the request says how it has to begin."""
        last = self.messages[-1]
        return str(last["content"]) if last["role"] == "assistant" else ""

    @property
    def image_chars(self) -> int:
        """How much of it is images, in letters of base64."""
        parts = [
            part for message in self.messages if isinstance(message["content"], list) for part in message["content"]
        ]
        return sum(len(part["image_url"]["url"]) for part in parts if part["type"] == "image_url")

    @property
    def before_answer(self) -> Sequence[Message]:
        """The messages without that beginning."""
        return self.messages[:-1] if self.messages[-1]["role"] == "assistant" else self.messages


def told(system: str | Sequence[OnlyText] | None, turns: Sequence[Turn]) -> Told:
    """The conversation. Raises `BadRequest` and `Unsupported` naming the place."""
    messages: list[Message] = []
    places: list[str] = []
    if system:
        text = system if isinstance(system, str) else BETWEEN.join(block.text for block in system)
        messages.append({"role": "system", "content": text})
        places.append("system")
    for role, run in groupby(enumerate(turns), key=lambda one: one[1].role):
        numbered = list(run)
        place = f"messages[{numbered[0][0]}]"
        blocks = [
            (block, f"messages[{number}].content[{index}]")
            for number, turn in numbered
            for index, block in enumerate(turn.blocks)
        ]
        added = [_assistant(blocks)] if role == "assistant" else list(_user(blocks, role))
        messages += added
        places += [place] * len(added)
    if not messages:
        raise BadRequest("messages: There is nothing in them that could be answered.", param="messages")
    if messages[-1].get("tool_calls"):
        raise BadRequest(f"{places[-1]} calls tools, and nothing says what they answered.", param=places[-1])
    return Told(messages, places)


def _assistant(blocks: Iterable[tuple[Block, str]]) -> Message:
    texts: list[str] = []
    thoughts: list[str] = []
    calls: list[Part] = []
    for block, at in blocks:
        match block:
            case TextBlock(text):
                texts.append(text)
            case ThinkingBlock(thinking):
                thoughts.append(thinking)
            case RedactedThinkingBlock():
                pass
            case ToolUseBlock(id=name):
                calls.append({"id": name, "type": "function", "function": _called(block, at)})
            case _:
                raise BadRequest(f"{at} is not what an assistant says.", param=at)
    message: Message = {"role": "assistant", "content": BETWEEN.join(texts) or (None if calls else "")}
    if any(thoughts):
        message["reasoning_content"] = BETWEEN.join(thoughts)
    if calls:
        message["tool_calls"] = calls
    return message


def _called(block: ToolUseBlock, at: str) -> Part:
    return {"name": block.name, "arguments": object_text(block.input, f"{at}.input")}


def _user(blocks: Iterable[tuple[Block, str]], role: str) -> Iterator[Message]:
    said: list[Part] = []
    shown: list[Part] = []
    for block, at in blocks:
        if isinstance(block, ToolResultBlock) and role == "user":
            parts = list(_result(block, at))
            shown += (part for part in parts if part["type"] != "text")
            yield {"role": "tool", "tool_call_id": block.tool_use_id, "content": _text(parts, failed=block.is_error)}
        elif isinstance(block, TextBlock) or (role == "user" and isinstance(block, Found)):
            said += _parts(block, at)
        else:
            raise BadRequest(f"{at} is not what a {role} says.", param=at)
    parts = [*shown, *said]
    if not parts:
        return
    only_text = all(part["type"] == "text" for part in parts)
    yield {"role": role, "content": _text(parts) if only_text else parts}


def _result(block: ToolResultBlock, at: str) -> Iterator[Part]:
    if block.content is None:
        return
    if isinstance(block.content, str):
        yield _text_part(block.content)
        return
    for index, found in enumerate(block.content):
        yield from _parts(found, f"{at}.content[{index}]")


def _text(parts: Iterable[Part], *, failed: bool | None = False) -> str:
    text = BETWEEN.join(part["text"] for part in parts if part["type"] == "text")
    return f"{FAILED}{text}" if failed else text


def _parts(block: Found, at: str) -> Iterator[Part]:
    match block:
        case TextBlock(text):
            yield _text_part(text)
        case ImageBlock():
            yield _image(block, at)
        case DocumentBlock():
            yield from _document(block, at)
        case SearchResultBlock(source, title, content):
            _check_citations(block, at)
            yield _text_part(BETWEEN.join([title, source, *(part.text for part in content)]))


def _document(block: DocumentBlock, at: str) -> Iterator[Part]:
    _check_citations(block, at)
    about = [text for text in (block.title, block.context) if text]
    match block.source:
        case PlainTextSource(data):
            yield _text_part(BETWEEN.join([*about, data]))
        case ContentSource(content):
            yield from map(_text_part, about)
            for part in (TextBlock(content),) if isinstance(content, str) else content:
                yield from _parts(part, f"{at}.source.content")
        case source:
            kind = source.__struct_config__.tag
            raise Unsupported(
                f"{at}.source: No document is read here but text (a source of the type text or content), not {kind}.",
                param=f"{at}.source",
            )


def _check_citations(block: DocumentBlock | SearchResultBlock, at: str) -> None:
    if block.citations is not None and block.citations.enabled:
        raise Unsupported(f"{at}.citations: No model here cites.", param=f"{at}.citations")


def _image(block: ImageBlock, at: str) -> Part:
    source = block.source
    if isinstance(source, InlineImage):
        return {"type": "image_url", "image_url": {"url": f"data:{source.media_type};base64,{source.data}"}}
    assert isinstance(source, UrlSource | FileSource)
    raise Unsupported(
        f"{at}.source: Images are taken as base64 only, not as {source.__struct_config__.tag}: "
        "put the image itself in.",
        param=f"{at}.source",
    )


def _text_part(text: str) -> Part:
    return {"type": "text", "text": text}
