"""What has been said so far, from a response's items to a chat's messages; which message came of which item is kept."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from hyperinfer.contracts.openai import CalledFunction, ImagePart, ImageUrl, Message, Part, TextPart, ToolCall
from hyperinfer.edge.dialects.openai_responses.fields import KEPT_NOWHERE, unsupported
from hyperinfer.edge.dialects.openai_responses.requests import (
    InputImage,
    InputItem,
    InputText,
    ItemPart,
    OutputRefusal,
    OutputText,
    ReasoningText,
    ResponseRequest,
)
from hyperinfer.errors import BadRequest


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a message comes from: the field `at`, and of an assistant's the items of its `calls`."""

    at: str
    calls: tuple[str, ...] = ()


class Conversation:
    """Messages, and where each comes from."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.origins: list[Origin] = []

    def add(self, message: Message, at: str) -> None:
        """The next message."""
        self.messages.append(message)
        self.origins.append(Origin(at))

    def add_call(self, call: ToolCall, at: str) -> None:
        """A call that the assistant made; it is part of what the assistant said right before."""
        if not self.messages or self.messages[-1].role != "assistant":
            self.add(Message(role="assistant"), at)
        last, origin = self.messages[-1], self.origins[-1]
        self.messages[-1] = msgspec.structs.replace(last, tool_calls=(*(last.tool_calls or ()), call))
        self.origins[-1] = Origin(origin.at, (*origin.calls, at))


def read(asked: ResponseRequest) -> Conversation:
    """The conversation of a request, instructions first. Raises `BadRequest` and `Unsupported` naming the field."""
    conversation = Conversation()
    if asked.instructions:
        conversation.add(Message(role="system", content=asked.instructions), "instructions")
    if isinstance(asked.input, str):
        conversation.add(Message(role="user", content=asked.input), "input")
    else:
        for index, item in enumerate(asked.input):
            _take(item, f"input[{index}]", conversation)
    if not conversation.messages:
        raise BadRequest("input holds nothing that could be answered.", param="input")
    return conversation


def _take(item: InputItem, at: str, conversation: Conversation) -> None:
    match item.type:
        case None | "message" if item.role is not None:
            conversation.add(Message(role=item.role, content=_content(item, at)), at)
        case "message":
            raise _missing(f"{at}.role")
        case "function_call":
            conversation.add_call(_call(item, at), at)
        case "function_call_output":
            output = Message(role="tool", content=_output(item, at), tool_call_id=_given(item.call_id, f"{at}.call_id"))
            conversation.add(output, at)
        case "reasoning":
            return  # what was thought before an earlier answer is not said again
        case None | "item_reference":
            raise unsupported(at, f"It has no type, or refers to what was said before. {KEPT_NOWHERE}")
        case other:
            raise unsupported(f"{at}.type", f"{other[:40]!r} items belong to tools that there are none of here.")


def _call(item: InputItem, at: str) -> ToolCall:
    function = CalledFunction(name=_given(item.name, f"{at}.name"), arguments=_given(item.arguments, f"{at}.arguments"))
    return ToolCall(id=_given(item.call_id, f"{at}.call_id"), function=function)


def _content(item: InputItem, at: str) -> str | tuple[Part, ...]:
    """Only what whoever asks says can be more than text; engines' templates take the rest as one."""
    if item.content is None:
        raise _missing(f"{at}.content")
    if isinstance(item.content, str):
        return item.content
    parts = tuple(_part(part, f"{at}.content[{index}]") for index, part in enumerate(item.content))
    texts = [part.text for part in parts if isinstance(part, TextPart)]
    if len(texts) == len(parts) and (len(parts) == 1 or item.role != "user"):
        return "".join(texts)
    return parts


def _output(item: InputItem, at: str) -> str:
    if item.output is None:
        raise _missing(f"{at}.output")
    if isinstance(item.output, str):
        return item.output
    return "".join(_texts(item.output, f"{at}.output"))


def _texts(parts: Sequence[ItemPart], at: str) -> Sequence[str]:
    texts = []
    for index, part in enumerate(parts):
        said = _part(part, f"{at}[{index}]")
        if not isinstance(said, TextPart):
            raise unsupported(f"{at}[{index}]", "What a function says is text.")
        texts.append(said.text)
    return texts


def _part(part: ItemPart, at: str) -> Part:
    match part:
        case InputText() | OutputText():
            return TextPart(part.text)
        case OutputRefusal():
            return TextPart(part.refusal)
        case InputImage():
            return _image(part, at)
        case ReasoningText():
            raise BadRequest(f"{at}: What a model thought is an item of its own.", param=at)
        case _:
            raise unsupported(at, f"Text and images are read here, not {part.__struct_config__.tag}.")


def _image(part: InputImage, at: str) -> ImagePart:
    if part.image_url is None:
        if part.file_id is not None:
            raise unsupported(f"{at}.file_id", "No files are kept here: put the image itself in, as a data: URL.")
        raise _missing(f"{at}.image_url")
    detail = "high" if part.detail == "original" else part.detail
    return ImagePart(ImageUrl(part.image_url, detail or "auto"))


def _given(value: str | None, param: str) -> str:
    if value is None:
        raise _missing(param)
    return value


def _missing(param: str) -> BadRequest:
    return BadRequest(f"{param} is missing.", param=param)
