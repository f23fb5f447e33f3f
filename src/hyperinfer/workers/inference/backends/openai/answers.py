"""Reading what a server answers: chunks of chats and of texts, and embeddings, in the forms that servers give them. Pure."""

import base64
import binascii
import struct
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct

from hyperinfer.contracts.openai import Anything, Chunk, ChunkChoice, CompletionUsage, Delta
from hyperinfer.errors import BackendFailed
from hyperinfer.workers.inference.backends import Embedded, End
from hyperinfer.workers.inference.backends.chunks import ChunkReader
from hyperinfer.workers.inference.backends.openai.refusals import WHO, Asked, Said, in_stream

FLOAT_BYTES = 4
REASONS = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "function_call": "tool_calls",
}
"""Why an answer ended, in OpenAI's words. An answer that ended otherwise (`abort`, `error`) has failed."""


# --- generated text --------------------------------------------------------------------------------------


class TheirDelta(Struct, frozen=True):
    """What a chunk adds to an answer."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: Any = None
    refusal: str | None = None
    tool_calls: tuple[Raw, ...] | None = None


class TheirLogprobs(Struct, frozen=True):
    """As chats have them, or as columns; llama.cpp's server gives the former of texts, too."""

    content: tuple[Raw, ...] | None = None
    tokens: tuple[str, ...] | None = None
    token_logprobs: tuple[float | None, ...] | None = None
    top_logprobs: tuple[dict[str, float] | None, ...] | None = None


class TheirChoice(Struct, frozen=True):
    """A chunk's part of an answer: a chat's `delta`, or a `text`. Which of the texts in `stop` ended it is said by vLLM in
    `stop_reason`, by SGLang in `matched_stop`, where a number is a token's, and by others not at all."""

    index: int = 0
    delta: TheirDelta | None = None
    text: str | None = None
    finish_reason: str | None = None
    stop_reason: Any = None
    matched_stop: Any = None
    logprobs: Anything = UNSET


class TheirChunk(Struct, frozen=True):
    """A chunk, or a failure after the stream has begun."""

    choices: tuple[TheirChoice, ...] | None = None
    usage: CompletionUsage | None = None
    error: Said | str | None = None


_chunk = msgspec.json.Decoder(TheirChunk)
_logprobs = msgspec.json.Decoder(TheirLogprobs)
_encode = msgspec.json.Encoder().encode


class AnswerReader(ChunkReader):
    """One request's answers as they come; `pieces` counts what they have said so far."""

    def __init__(self, asked: Asked, *, answers: int) -> None:
        super().__init__(WHO, decode=self._read)
        self._asked = asked
        self._answers = answers
        self.pieces = 0

    def take(self, piece: bytes) -> Sequence[ChunkChoice]:
        """What these bytes add. Raises as `ChunkReader` does, and what `in_stream` makes of an error at the beginning."""
        added = super().take(piece)
        self.pieces += len(added)
        return added

    def end(self, *, estimate: CompletionUsage | None = None) -> End:
        """How it ended. Raises `BackendFailed` if it did not, or with fewer answers than were asked for."""
        end = super().end(estimate=estimate)
        if len(end.finish_reasons) != self._answers:
            raise BackendFailed(f"{WHO} gave {len(end.finish_reasons)} answers where {self._answers} were asked for.")
        return end

    def _read(self, data: bytes) -> Chunk:
        chunk = _chunk.decode(data)
        if chunk.error is not None:
            said = chunk.error if isinstance(chunk.error, Said) else Said(message=chunk.error)
            raise BackendFailed(f"{WHO} failed in mid-answer.") if self.pieces else in_stream(said, self._asked)
        choices = chunk.choices or ()
        told = [text for one in choices for text in (one.stop_reason, one.matched_stop) if isinstance(text, str)]
        return Chunk(choices=tuple(map(_choice, choices)), usage=chunk.usage, stopped_by="".join(told[:1]))


def _choice(theirs: TheirChoice) -> ChunkChoice:
    delta = theirs.delta or TheirDelta(content=theirs.text)
    thought = delta.reasoning_content or (delta.reasoning if isinstance(delta.reasoning, str) else None)
    return ChunkChoice(
        delta=Delta(
            content=delta.content,
            reasoning_content=thought or None,
            refusal=delta.refusal,
            tool_calls=Raw(_encode(delta.tool_calls)) if delta.tool_calls else UNSET,
        ),
        index=theirs.index,
        finish_reason=None if theirs.finish_reason is None else _reason(theirs.finish_reason),
        logprobs=_as_chats_have(theirs.logprobs),
    )


def _reason(theirs: str) -> str:
    reason = REASONS.get(theirs)
    if reason is None:
        raise BackendFailed(f"{WHO} broke off its answer.")
    return reason


def _as_chats_have(raw: Anything) -> Anything:
    if isinstance(raw, msgspec.UnsetType) or bytes(raw) == b"null":
        return UNSET
    logprobs = _logprobs.decode(raw)
    if logprobs.content is not None:
        return raw
    if not logprobs.tokens:
        return UNSET
    numbers, tops = logprobs.token_logprobs or (), logprobs.top_logprobs or ()
    if len(numbers) != len(logprobs.tokens):
        raise BackendFailed(f"{WHO}'s logprobs make no sense.")
    content = [
        _token(token, number) | {"top_logprobs": [_token(*one) for one in (tops[at] or {}).items()] if tops else []}
        for at, (token, number) in enumerate(zip(logprobs.tokens, numbers, strict=True))
        if not tops or at < len(tops)
    ]
    return Raw(_encode({"content": content}))


def _token(token: str, logprob: float | None) -> dict[str, Any]:
    return {"token": token, "logprob": logprob or 0.0, "bytes": list(token.encode())}


# --- embeddings ------------------------------------------------------------------------------------------


class TheirVector(Struct, frozen=True):
    """One vector, as numbers or as little-endian float32 in base64."""

    embedding: tuple[float, ...] | str
    index: int = 0


class TheirUsage(Struct, frozen=True):
    """Tokens of the inputs."""

    prompt_tokens: int = 0


class TheirEmbeddings(Struct, frozen=True):
    """`POST /v1/embeddings`."""

    data: tuple[TheirVector, ...]
    usage: TheirUsage | None = None


_embeddings = msgspec.json.Decoder(TheirEmbeddings)


def embedded(body: bytes, inputs: int, *, estimate: int | None) -> Embedded:
    """The vectors of so many inputs. `estimate` is how many tokens these have, for a server that does not count them.

    Raises `BackendFailed` for what is not one vector for each, all of the same length.
    """
    try:
        theirs = _embeddings.decode(body)
        vectors = {one.index: _packed(one.embedding) for one in theirs.data}
    except (msgspec.DecodeError, binascii.Error, ValueError, OverflowError, RecursionError) as error:
        raise BackendFailed(f"{WHO}'s embeddings make no sense.") from error
    lengths = {len(vector) for vector in vectors.values()}
    if len(theirs.data) != inputs or sorted(vectors) != list(range(inputs)) or len(lengths) != 1:
        raise BackendFailed(f"{WHO}'s embeddings are not one for each text.")
    tokens = theirs.usage.prompt_tokens if theirs.usage else estimate
    if tokens is None:
        raise BackendFailed(f"{WHO} did not count the tokens.")
    return Embedded(tuple(vectors[index] for index in range(inputs)), tokens)


def _packed(vector: tuple[float, ...] | str) -> bytes:
    if not isinstance(vector, str):
        packed = struct.pack(f"<{len(vector)}f", *vector)
    else:
        packed = base64.b64decode(vector, validate=True)
    if not packed or len(packed) % FLOAT_BYTES:
        raise ValueError("no vector")
    return packed
