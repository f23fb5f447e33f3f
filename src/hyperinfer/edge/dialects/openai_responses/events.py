"""The events of a streamed response, each with its type, its place in the stream, and what it is about."""

import msgspec
from msgspec import UNSET, Struct, UnsetType

from hyperinfer.edge.dialects.openai_responses.answers import Item, PartSaid, Response
from hyperinfer.edge.dialects.openai_responses.said import TokenLogprob
from hyperinfer.edge.errors import ErrorBody

_encode = msgspec.json.Encoder().encode


class Event(Struct, frozen=True, kw_only=True, tag_field="type"):
    """Base of all; `sequence_number` counts them from 0."""

    sequence_number: int


def encoded(event: Event) -> bytes:
    """The event as it is sent."""
    return b"event: %b\ndata: %b\n\n" % (str(event.__struct_config__.tag).encode(), _encode(event))


# --- of the response -------------------------------------------------------------------------------------


class OfResponse(Event, frozen=True, kw_only=True):
    """How the response stands."""

    response: Response


class Created(OfResponse, frozen=True, kw_only=True, tag="response.created"):
    """It begins."""


class InProgress(OfResponse, frozen=True, kw_only=True, tag="response.in_progress"):
    """It is being made."""


class Completed(OfResponse, frozen=True, kw_only=True, tag="response.completed"):
    """It is whole. The last event of a stream, as those two that follow."""


class Incomplete(OfResponse, frozen=True, kw_only=True, tag="response.incomplete"):
    """It ended before it was whole, and says why."""


class Failed(OfResponse, frozen=True, kw_only=True, tag="response.failed"):
    """It broke off, and says why. An `Error` follows."""


class Error(Event, frozen=True, kw_only=True, tag="error"):
    """Why a stream broke off, in the form of this API's events (`code`, `message`, `param`) and in that of every other one of
    OpenAI's (`error`), for which the official clients look to raise it."""

    code: str | None
    message: str
    param: str | None
    error: ErrorBody


# --- of an item ------------------------------------------------------------------------------------------


class OfItem(Event, frozen=True, kw_only=True):
    """How an item of the output stands."""

    output_index: int
    item: Item


class ItemAdded(OfItem, frozen=True, kw_only=True, tag="response.output_item.added"):
    """It begins."""


class ItemDone(OfItem, frozen=True, kw_only=True, tag="response.output_item.done"):
    """It is whole, or as whole as it gets."""


class InItem(Event, frozen=True, kw_only=True):
    """What goes on inside an item."""

    item_id: str
    output_index: int


class ArgumentsDelta(InItem, frozen=True, kw_only=True, tag="response.function_call_arguments.delta"):
    """More of a call's arguments."""

    delta: str
    obfuscation: str | UnsetType = UNSET


class ArgumentsDone(InItem, frozen=True, kw_only=True, tag="response.function_call_arguments.done"):
    """All of them."""

    name: str
    arguments: str


# --- of a part -------------------------------------------------------------------------------------------


class InPart(InItem, frozen=True, kw_only=True):
    """What goes on inside a part of an item's content."""

    content_index: int


class OfPart(InPart, frozen=True, kw_only=True):
    """How a part stands."""

    part: PartSaid


class PartAdded(OfPart, frozen=True, kw_only=True, tag="response.content_part.added"):
    """It begins."""


class PartDone(OfPart, frozen=True, kw_only=True, tag="response.content_part.done"):
    """It is whole, or as whole as it gets."""


class TextDelta(InPart, frozen=True, kw_only=True, tag="response.output_text.delta"):
    """More of a text."""

    delta: str
    logprobs: tuple[TokenLogprob, ...] = ()
    obfuscation: str | UnsetType = UNSET


class TextDone(InPart, frozen=True, kw_only=True, tag="response.output_text.done"):
    """All of it."""

    text: str
    logprobs: tuple[TokenLogprob, ...] = ()


class RefusalDelta(InPart, frozen=True, kw_only=True, tag="response.refusal.delta"):
    """More of a refusal."""

    delta: str
    obfuscation: str | UnsetType = UNSET


class RefusalDone(InPart, frozen=True, kw_only=True, tag="response.refusal.done"):
    """All of it."""

    refusal: str


class ReasoningDelta(InPart, frozen=True, kw_only=True, tag="response.reasoning_text.delta"):
    """More of what the model thinks."""

    delta: str
    obfuscation: str | UnsetType = UNSET


class ReasoningDone(InPart, frozen=True, kw_only=True, tag="response.reasoning_text.done"):
    """All of it."""

    text: str
