"""Puts a response together from what a chat answers, and tells each step of it as an event. No I/O."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from msgspec import structs

from hyperinfer.contracts.openai import CompletionUsage
from hyperinfer.edge.dialects.openai_responses.answers import (
    IncompleteDetails,
    Item,
    ItemStatus,
    Response,
    ResponseUsage,
)
from hyperinfer.edge.dialects.openai_responses.errors import error_of, failure_of
from hyperinfer.edge.dialects.openai_responses.events import (
    ArgumentsDelta,
    Completed,
    Created,
    Error,
    Event,
    Failed,
    Incomplete,
    InProgress,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
)
from hyperinfer.edge.dialects.openai_responses.making import FunctionCall, PartKind, Speech
from hyperinfer.edge.dialects.openai_responses.said import Said, SaidCall, TokenLogprob
from hyperinfer.errors import BackendFailed, HyperinferError

MAX_RESPONSE_CHARS = 6 * 1024 * 1024
"""Longest response: at its end it is said again as a whole."""
MAX_CALLS = 128
REASONS = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Why a response is incomplete, by the chat's reason to end; with every other one it is complete."""

DELTAS = frozenset({TextDelta, RefusalDelta, ReasoningDelta, ArgumentsDelta})
LOGPROB_CHARS = 64
"""What a likelihood takes in JSON, about."""

Noise = Callable[[str], str]
"""What fills an event up that adds so much."""


class Composer:
    """One response. Thoughts and text come as items, one after the other; calls stay open to the end, because pieces of
    several may come by turns."""

    def __init__(self, asked_for: Response, *, noise: Noise | None = None) -> None:
        self._response = asked_for
        self._noise = noise
        self._count = 0
        self._chars = 0
        self._name = ""
        self._speech: Speech | None = None
        self._unsaid: list[TokenLogprob] = []
        self._calls: dict[int, _Call] = {}
        self._items: list[Speech | FunctionCall] = []

    @property
    def response(self) -> Response:
        """The response as it is now."""
        return structs.replace(self._response, output=self._output)

    @property
    def begun(self) -> bool:
        """Whether it is known which response this is."""
        return bool(self._name)

    def begin(self, completion_id: str, created: int, model: str) -> Iterator[Event]:
        """It is made of this completion."""
        self._name = completion_id.removeprefix("chatcmpl-")
        self._response = structs.replace(self._response, id=f"resp_{self._name}", created_at=created, model=model)
        yield self._event(Created, response=self._response)
        yield self._event(InProgress, response=self._response)

    def take(self, said: Said, logprobs: Sequence[TokenLogprob] = ()) -> Iterator[Event]:
        """The model has said this. Raises `BackendFailed` for an answer beyond every bound."""
        if said.reasoning_content:
            yield from self._say("reasoning", said.reasoning_content, ())
        if said.content or not said.reasoning_content:
            self._grow(sum(map(_chars, logprobs)))
            self._unsaid += logprobs
        if said.content:
            told, self._unsaid = self._unsaid, []
            yield from self._say("text", said.content, told)
        if said.refusal:
            yield from self._say("refusal", said.refusal, ())
        for piece in said.tool_calls or ():
            yield from self._take_call(piece)

    def end(self, reason: str, usage: CompletionUsage | None, *, at: int) -> Iterator[Event]:
        """It ended for this reason, at this moment (seconds since the epoch)."""
        why = REASONS.get(reason)
        status: ItemStatus = "incomplete" if why else "completed"
        for call in self._calls.values():
            yield from self._announce(call)
        if not self._items:
            yield from self._say("text", "", ())
        self._settle()
        for item in self._items:
            if item.status == "in_progress":
                yield from item.done(status, self._event)
        self._response = structs.replace(
            self._response,
            status=status,
            usage=ResponseUsage.of(usage) if usage else None,
            completed_at=None if why else at,
            incomplete_details=IncompleteDetails(why) if why else None,  # type: ignore[arg-type]  # one of REASONS
        )
        yield self._event(Incomplete if why else Completed, response=self.response)

    def fail(self, error: HyperinferError) -> Iterator[Event]:
        """It broke off."""
        if self.begun:
            for item in self._items:
                if item.status == "in_progress":
                    item.status = "incomplete"
            self._response = structs.replace(self._response, status="failed", error=failure_of(error))
            yield self._event(Failed, response=self.response)
        told = error_of(error)
        yield self._event(Error, code=told.code, message=told.message, param=told.param, error=told)

    @property
    def _output(self) -> tuple[Item, ...]:
        return tuple(item.item for item in self._items)

    def _say(self, kind: PartKind, text: str, logprobs: Sequence[TokenLogprob]) -> Iterator[Event]:
        self._grow(len(text))
        thinks = kind == "reasoning"
        if self._speech is not None and self._speech.thinks != thinks:
            yield from self._hush()
        if self._speech is None:
            self._speech = Speech(thinks=thinks, name=self._name, index=len(self._items))
            self._items.append(self._speech)
            yield self._speech.added(self._event)
        yield from self._speech.take(kind, text, logprobs, self._event)

    def _hush(self) -> Iterator[Event]:
        if self._speech is not None:
            self._settle()
            yield from self._speech.done("completed", self._event)
            self._speech = None

    def _settle(self) -> None:
        if self._speech is not None and not self._speech.thinks:
            self._speech.remember(self._unsaid)
        self._unsaid = []

    def _take_call(self, piece: SaidCall) -> Iterator[Event]:
        call = self._calls.get(piece.index)
        if call is None:
            if len(self._calls) == MAX_CALLS:
                raise BackendFailed("The model calls tools without end.")
            call = self._calls[piece.index] = _Call(piece.id or f"call_{piece.index}")
        function = piece.function
        if call.made is None:
            call.function = function.name or ""
            if call.function:
                yield from self._announce(call)
        if function.arguments:
            self._grow(len(function.arguments))
            if call.made is None:
                call.early.append(function.arguments)
            else:
                yield call.made.take(function.arguments, self._event)

    def _announce(self, call: "_Call") -> Iterator[Event]:
        if call.made is not None:
            return
        yield from self._hush()
        call.made = FunctionCall(name=self._name, index=len(self._items), call_id=call.id, function=call.function)
        self._items.append(call.made)
        yield call.made.added(self._event)
        for arguments in call.early:
            yield call.made.take(arguments, self._event)

    def _grow(self, chars: int) -> None:
        self._chars += chars
        if self._chars > MAX_RESPONSE_CHARS:
            raise BackendFailed("The model's answer does not end.")

    def _event(self, kind: type[Event], **fields: Any) -> Event:
        number, self._count = self._count, self._count + 1
        if self._noise is not None and kind in DELTAS:
            fields["obfuscation"] = self._noise(fields["delta"])
        return kind(sequence_number=number, **fields)


class _Call:
    """A call as its pieces come; it is `made` once its function is known."""

    def __init__(self, call_id: str) -> None:
        self.id = call_id
        self.function = ""
        self.early: list[str] = []
        self.made: FunctionCall | None = None


def _chars(token: TokenLogprob) -> int:
    return LOGPROB_CHARS * (1 + len(token.top_logprobs))
