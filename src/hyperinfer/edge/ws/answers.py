"""One answer as messages: what each piece of it adds, and how it ended."""

from collections.abc import Iterator, Sequence

import msgspec
from msgspec import UNSET, Raw, UnsetType

from hyperinfer.contracts import ws
from hyperinfer.contracts.gateway import Head, Inferred
from hyperinfer.contracts.openai import ChunkChoice
from hyperinfer.edge.ws.messages import limits
from hyperinfer.errors import BackendFailed

WORKER_CHARS = 12
"""How much of a worker's key is shown, as in headers."""


class _Choice(ChunkChoice, frozen=True):
    """A chunk's choice; that of a completion has `text`."""

    text: str | None = None


class _Chunk(msgspec.Struct, frozen=True):
    choices: tuple[_Choice, ...] = ()


class _WholeChoice(msgspec.Struct, frozen=True):
    message: Raw | UnsetType = UNSET
    text: str | UnsetType = UNSET


class _Whole(msgspec.Struct, frozen=True):
    choices: tuple[_WholeChoice, ...] = ()


_head = msgspec.json.Decoder(Head)
_chunk = msgspec.json.Decoder(_Chunk)
_whole = msgspec.json.Decoder(_Whole)


class Answer:
    """The answer to one conversation; `request_id` names it for the operator. Raises `BackendFailed` for what is none of
    OpenAI's form."""

    def __init__(self, conversation: str, request_id: str) -> None:
        self._id = conversation
        self.request_id = request_id
        self._started = False
        self._finish_reason = ""

    def of_chunks(self, chunks: Sequence[bytes]) -> Iterator[ws.ServerMessage]:
        """What chunks add. The very first one is the gateway's `Head`; texts that came together are told together."""
        text = ""
        for raw in chunks:
            if not self._started:
                yield self._begun(_head.decode(raw))
                continue
            for choice in self._choices(raw):
                self._finish_reason = choice.finish_reason or self._finish_reason
                delta = self._delta(choice)
                if _is_text(delta):
                    text += delta.text
                    continue
                if text:
                    yield ws.Delta(self._id, text)
                    text = ""
                yield delta
        if text:
            yield ws.Delta(self._id, text)

    def of_whole(self, inferred: Inferred) -> tuple[ws.Started, ws.Done]:
        """An answer that was not streamed."""
        try:
            [choice] = _whole.decode(inferred.processed.completion).choices
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
            raise _nonsense() from error
        return self._begun(inferred.head), self._done(inferred, choice.message, choice.text)

    def of_end(self, inferred: Inferred) -> ws.Done:
        """The end of one that was."""
        if not self._started:
            raise _nonsense()
        return self._done(inferred, UNSET, UNSET)

    def _begun(self, head: Head) -> ws.Started:
        self._started = True
        return ws.Started(
            id=self._id,
            model=head.model,
            worker=head.worker[:WORKER_CHARS],
            request_id=self.request_id,
            attempts=head.attempts,
            queued_s=head.queued_s,
            first_token_s=head.first_token_s,
            limits=limits(head.rate_limit_info),
            cache=head.cache,
        )

    def _done(self, inferred: Inferred, message: Raw | UnsetType, text: str | UnsetType) -> ws.Done:
        processed, used = inferred.processed, inferred.processed.usage
        return ws.Done(
            id=self._id,
            finish_reason=self._finish_reason or processed.finish_reason,
            usage=ws.Usage(used.prompt_tokens, used.completion_tokens, used.total_tokens),
            message=message,
            text=text,
        )

    def _choices(self, raw: bytes) -> Sequence[_Choice]:
        try:
            return _chunk.decode(raw).choices
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _nonsense() from error

    def _delta(self, choice: _Choice) -> ws.Delta:
        said = choice.delta
        return ws.Delta(
            id=self._id,
            text=(said.content or "") + (choice.text or ""),
            thinking=said.reasoning_content or "",
            refusal=said.refusal or "",
            tool_calls=_given(said.tool_calls),
            logprobs=_given(choice.logprobs),
        )


def _is_text(delta: ws.Delta) -> bool:
    """Whether it is text alone, or nothing."""
    return not (delta.thinking or delta.refusal) and delta.tool_calls is UNSET and delta.logprobs is UNSET


def _given(raw: Raw | UnsetType) -> Raw | UnsetType:
    return UNSET if raw is UNSET or bytes(raw) == b"null" else raw


def _nonsense() -> BackendFailed:
    return BackendFailed("The model's backend answered nothing that makes sense.")
