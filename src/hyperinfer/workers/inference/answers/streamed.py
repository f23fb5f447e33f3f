"""An answer that is sent as it comes."""

import asyncio
from collections.abc import Sequence

import msgspec
from msgspec import UNSET, Raw

from hyperinfer.contracts.inference import Began
from hyperinfer.contracts.openai import ChunkChoice, CompletionUsage
from hyperinfer.kernel.calls import Send
from hyperinfer.workers.inference.answers.logprobs import of_text
from hyperinfer.workers.inference.answers.stamp import Stamp
from hyperinfer.workers.inference.backends import End

OBJECTS = {"chat": b"chat.completion.chunk", "completion": b"text_completion"}

_json = msgspec.json.Encoder().encode


class StreamedAnswer:
    """Sends chunks as they come, before all of them a `Began`. It goes with the first text: until then the request can
    fail as if nothing had begun. The pieces of several answers may come at the same time; they are sent in turn.
    """

    def __init__(self, stamp: Stamp, send: Send, *, with_usage: bool, continues: bool = False) -> None:
        self._send = send
        self._with_usage = with_usage
        self._is_chat = stamp.kind == "chat"
        self._open = b'{"id":%b,"object":"%b","created":%d,"model":%b,"choices":[' % (
            _json(stamp.id),
            OBJECTS[stamp.kind],
            stamp.created,
            _json(stamp.model),
        )
        self._close = b',"usage":null}' if with_usage else b"}"
        self._content = self._open + (
            b'{"index":0,"delta":{"content":' if self._is_chat else b'{"index":0,"logprobs":null,"text":'
        )
        self._content_close = (
            b'},"finish_reason":null}]' if self._is_chat else b',"finish_reason":null}]'
        ) + self._close
        self._opened: set[int] = {0} if continues or not self._is_chat else set()
        self._offsets: dict[int, int] = {}
        self._sending = asyncio.Lock()
        self._started = False
        self.began = Began()

    async def take(self, pieces: Sequence[ChunkChoice]) -> None:
        """Send these."""
        chunks: list[bytes] = []
        for piece in pieces:
            if self._is_chat and piece.index not in self._opened:
                chunks.append(self._opening(piece.index))
            chunks.append(self._chunk(piece))
        await self._send_all(chunks)

    async def end(self, end: End) -> Raw:
        """Send why each answer ended, and the usage if it was asked for."""
        chunks: list[bytes] = []
        for index, reason in enumerate(end.finish_reasons):
            if self._is_chat and index not in self._opened:
                chunks.append(self._opening(index))
            stopped_by = b',"stop_reason":%b' % _json(end.stopped_by) if end.stopped_by and self._is_chat else b""
            chunks.append(self._choice(index, b"{}", reason=_json(reason) + stopped_by))
        if self._with_usage:
            chunks.append(self._open + b'],"usage":%b}' % _json(whole_usage(end.usage)))
        await self._send_all(chunks)
        return Raw(b"null")

    async def _send_all(self, chunks: list[bytes]) -> None:
        async with self._sending:
            if not self._started:
                self._started = True
                chunks.insert(0, _json(self.began))
            await self._send(chunks)

    def _opening(self, index: int) -> bytes:
        self._opened.add(index)
        return self._choice(index, b'{"role":"assistant","content":""}')

    def _chunk(self, piece: ChunkChoice) -> bytes:
        delta = piece.delta
        is_first = piece.index == 0 and piece.logprobs is UNSET
        if is_first and delta.reasoning_content is None and delta.tool_calls is UNSET and delta.refusal is None:
            # By far the most pieces are plain text of a single answer.
            return self._content + _json(delta.content or "") + self._content_close
        return self._choice(piece.index, _json(delta), logprobs=piece.logprobs, text=delta.content)

    def _choice(
        self,
        index: int,
        delta: bytes,
        *,
        reason: bytes = b"null",
        logprobs: Raw | msgspec.UnsetType = UNSET,
        text: str | None = None,
    ) -> bytes:
        if self._is_chat:
            told = b"" if isinstance(logprobs, msgspec.UnsetType) else b',"logprobs":%b' % bytes(logprobs)
            body = b'{"index":%d,"delta":%b%b,"finish_reason":%b}]' % (index, delta, told, reason)
        else:
            body = b'{"index":%d,"logprobs":%b,"text":%b,"finish_reason":%b}]' % (
                index,
                self._text_logprobs(index, logprobs),
                _json(text or ""),
                reason,
            )
        return self._open + body + self._close

    def _text_logprobs(self, index: int, logprobs: Raw | msgspec.UnsetType) -> bytes:
        if isinstance(logprobs, msgspec.UnsetType) or bytes(logprobs) == b"null":
            return b"null"
        columns, self._offsets[index] = of_text(logprobs, self._offsets.get(index, 0))
        return bytes(columns)


def whole_usage(usage: CompletionUsage) -> CompletionUsage:
    """Usage whose sum is right."""
    total = usage.prompt_tokens + usage.completion_tokens
    return usage if usage.total_tokens == total else msgspec.structs.replace(usage, total_tokens=total)
