"""The items of a response while they are being made: what they hold so far, and the events of what comes to them."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal, Protocol

from hyperinfer.edge.dialects.openai_responses.answers import (
    FunctionCallItem,
    Item,
    ItemStatus,
    MessageItem,
    PartSaid,
    ReasoningItem,
    ReasoningPartSaid,
    RefusalPartSaid,
    TextPartSaid,
)
from hyperinfer.edge.dialects.openai_responses.events import (
    ArgumentsDelta,
    ArgumentsDone,
    Event,
    ItemAdded,
    ItemDone,
    PartAdded,
    PartDone,
    ReasoningDelta,
    ReasoningDone,
    RefusalDelta,
    RefusalDone,
    TextDelta,
    TextDone,
)
from hyperinfer.edge.dialects.openai_responses.said import TokenLogprob

PartKind = Literal["text", "refusal", "reasoning"]
Nothing = tuple[()]


class Numbered(Protocol):
    """Makes an event that has the next number of the stream."""

    def __call__(self, kind: type[Event], **fields: Any) -> Event:
        """An event of this kind."""


class _Part:
    """A part of an item's content."""

    def __init__(self, kind: PartKind, place: dict[str, Any]) -> None:
        self.kind = kind
        self._place = place
        self._texts: list[str] = []
        self._logprobs: list[TokenLogprob] = []

    @property
    def said(self) -> PartSaid:
        text = "".join(self._texts)
        match self.kind:
            case "text":
                return TextPartSaid(text=text, logprobs=tuple(self._logprobs))
            case "refusal":
                return RefusalPartSaid(refusal=text)
            case "reasoning":
                return ReasoningPartSaid(text=text)

    def added(self, event: Numbered) -> Event:
        return event(PartAdded, **self._place, part=self.said)

    def take(self, text: str, logprobs: Sequence[TokenLogprob], event: Numbered) -> Event:
        self._texts.append(text)
        self.remember(logprobs)
        match self.kind:
            case "text":
                return event(TextDelta, **self._place, delta=text, logprobs=tuple(logprobs))
            case "refusal":
                return event(RefusalDelta, **self._place, delta=text)
            case "reasoning":
                return event(ReasoningDelta, **self._place, delta=text)

    def remember(self, logprobs: Sequence[TokenLogprob]) -> None:
        self._logprobs += logprobs

    def done(self, event: Numbered) -> Iterator[Event]:
        said = self.said
        match said:
            case TextPartSaid():
                yield event(TextDone, **self._place, text=said.text, logprobs=said.logprobs)
            case RefusalPartSaid():
                yield event(RefusalDone, **self._place, refusal=said.refusal)
            case ReasoningPartSaid():
                yield event(ReasoningDone, **self._place, text=said.text)
        yield event(PartDone, **self._place, part=said)


class Speech:
    """A message, or what the model thinks: parts, one after the other."""

    def __init__(self, *, thinks: bool, name: str, index: int) -> None:
        self.thinks = thinks
        self.index = index
        self._id = f"{'rs' if thinks else 'msg'}_{name}_{index}"
        self._parts: list[_Part] = []
        self.status: ItemStatus = "in_progress"

    @property
    def item(self) -> Item:
        """What it holds so far."""
        parts: Any = tuple(part.said for part in self._parts)
        kind = ReasoningItem if self.thinks else MessageItem
        return kind(id=self._id, status=self.status, content=parts)

    def added(self, event: Numbered) -> Event:
        """It begins."""
        return event(ItemAdded, output_index=self.index, item=self.item)

    def take(self, kind: PartKind, text: str, logprobs: Sequence[TokenLogprob], event: Numbered) -> Iterator[Event]:
        """More of a part of this kind; the part before it is whole then."""
        yield from self.open(kind, event)
        yield self._parts[-1].take(text, logprobs, event)

    def open(self, kind: PartKind, event: Numbered) -> Iterator[Event]:
        """A part of this kind begins, if none is open."""
        if self._parts:
            if self._parts[-1].kind == kind:
                return
            yield from self._parts[-1].done(event)
        place = {"item_id": self._id, "output_index": self.index, "content_index": len(self._parts)}
        self._parts.append(_Part(kind, place))
        yield self._parts[-1].added(event)

    def remember(self, logprobs: Sequence[TokenLogprob]) -> None:
        """So likely were tokens that came after all of its text."""
        self._parts[-1].remember(logprobs)

    def done(self, status: ItemStatus, event: Numbered) -> Iterator[Event]:
        """It is over."""
        yield from self._parts[-1].done(event)
        self.status = status
        yield event(ItemDone, output_index=self.index, item=self.item)


class FunctionCall:
    """A call, whose arguments come in pieces. It is known of once it has a name."""

    def __init__(self, *, name: str, index: int, call_id: str, function: str) -> None:
        self.index = index
        self._id = f"fc_{name}_{index}"
        self._call_id = call_id
        self._function = function
        self._arguments: list[str] = []
        self.status: ItemStatus = "in_progress"

    @property
    def item(self) -> Item:
        """What it holds so far."""
        return FunctionCallItem(
            id=self._id,
            status=self.status,
            call_id=self._call_id,
            name=self._function,
            arguments="".join(self._arguments),
        )

    def added(self, event: Numbered) -> Event:
        """It begins."""
        return event(ItemAdded, output_index=self.index, item=self.item)

    def take(self, arguments: str, event: Numbered) -> Event:
        """More of its arguments."""
        self._arguments.append(arguments)
        return event(ArgumentsDelta, item_id=self._id, output_index=self.index, delta=arguments)

    def done(self, status: ItemStatus, event: Numbered) -> Iterator[Event]:
        """It is over."""
        yield event(
            ArgumentsDone,
            item_id=self._id,
            output_index=self.index,
            name=self._function,
            arguments="".join(self._arguments),
        )
        self.status = status
        yield event(ItemDone, output_index=self.index, item=self.item)
