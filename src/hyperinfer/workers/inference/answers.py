"""Deltas into OpenAI's JSON, stamped with what the gateway chose: chunk by chunk, or as one completion."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from msgspec import UNSET, Raw

from hyperinfer.contracts.openai import AnswerChoice, AnswerMessage, Completion, Delta
from hyperinfer.errors import BackendFailed
from hyperinfer.kernel.calls import Send
from hyperinfer.workers.inference.backends import End

MAX_ANSWER_CHARS = 4 * 1024 * 1024
"""Longest answer that is put together; what crosses the net in one message is bounded."""

_json = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Stamp:
    """What stands on every chunk of an answer: its id, when it was asked for (seconds since the epoch), the model."""

    id: str
    created: int
    model: str


class StreamedAnswer:
    """Sends chunks as they come. The opening one, with the role, goes with the first text: until then it can fail
    as if nothing had begun."""

    def __init__(self, stamp: Stamp, send: Send, *, with_usage: bool) -> None:
        self._send = send
        self._with_usage = with_usage
        self._open = b'{"id":%b,"object":"chat.completion.chunk","created":%d,"model":%b,"choices":[' % (
            _json(stamp.id),
            stamp.created,
            _json(stamp.model),
        )
        self._close = b',"usage":null}' if with_usage else b"}"
        self._delta = self._open + b'{"index":0,"delta":'
        self._content = self._delta + b'{"content":'
        self._content_close = b'},"finish_reason":null}]' + self._close
        self._started = False

    async def take(self, deltas: Sequence[Delta]) -> None:
        """Send these deltas."""
        chunks = [] if self._started else [self._opening()]
        for delta in deltas:
            if delta.reasoning_content is not None:
                chunks.append(self._chunk(b'{"reasoning_content":%b}' % _json(delta.reasoning_content)))
            if delta.content is not None:
                chunks.append(self._content + _json(delta.content) + self._content_close)
        await self._send(chunks)

    async def end(self, end: End) -> Raw:
        """Send why it ended, and the usage if it was asked for."""
        chunks = [] if self._started else [self._opening()]
        chunks.append(self._chunk(b"{}", _json(end.finish_reason)))
        if self._with_usage:
            chunks.append(self._open + b'],"usage":%b}' % _json(end.usage))
        await self._send(chunks)
        return Raw(b"null")

    def _opening(self) -> bytes:
        self._started = True
        return self._chunk(b'{"role":"assistant","content":""}')

    def _chunk(self, delta: bytes, finish_reason: bytes = b"null") -> bytes:
        return self._delta + delta + b',"finish_reason":%b}]' % finish_reason + self._close


class WholeAnswer:
    """Puts an answer together for a caller who wants it in one piece."""

    def __init__(self, stamp: Stamp) -> None:
        self._stamp = stamp
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self._chars = 0

    async def take(self, deltas: Sequence[Delta]) -> None:
        """Add these deltas. Raises `BackendFailed` for an answer beyond every bound."""
        for delta in deltas:
            if delta.content:
                self._texts.append(delta.content)
                self._chars += len(delta.content)
            if delta.reasoning_content:
                self._thoughts.append(delta.reasoning_content)
                self._chars += len(delta.reasoning_content)
        if self._chars > MAX_ANSWER_CHARS:
            raise BackendFailed("The model's answer does not end.")

    async def end(self, end: End) -> Raw:
        """The whole completion."""
        message = AnswerMessage(content=self.text, reasoning_content="".join(self._thoughts) or UNSET)
        completion = Completion(
            id=self._stamp.id,
            created=self._stamp.created,
            model=self._stamp.model,
            choices=(AnswerChoice(message=message, finish_reason=end.finish_reason),),
            usage=end.usage,
        )
        return Raw(_json(completion))

    @property
    def text(self) -> str:
        """The answer so far."""
        return "".join(self._texts)


Answer = StreamedAnswer | WholeAnswer
