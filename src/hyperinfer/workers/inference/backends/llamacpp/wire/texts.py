"""A text for the engine to go on with, its answer piece by piece, and texts for it to embed."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from hyperinfer.contracts.openai import CachedTokens, ChunkChoice, CompletionRequest, CompletionUsage, Delta, Sampled
from hyperinfer.contracts.openai.answers import ChunkError
from hyperinfer.errors import BackendFailed, TooLarge
from hyperinfer.protocol.sse import EventReader
from hyperinfer.workers.inference.backends import End
from hyperinfer.workers.inference.backends.llamacpp.wire.chats import Streamed, sampled, unset
from hyperinfer.workers.inference.requests.refusals import unsupported

LIMIT = "limit"
"""How the engine says that an answer was as long as it may be."""


class EngineText(Streamed, frozen=True, kw_only=True):
    """A text to the engine: a prompt, or what is before and after the place to be filled."""

    prompt: str | tuple[int, ...] | UnsetType = UNSET
    input_prefix: str | UnsetType = UNSET
    input_suffix: str | UnsetType = UNSET
    n_predict: int | UnsetType = UNSET
    n_probs: int | UnsetType = UNSET
    json_schema: dict[str, Any] | UnsetType = UNSET


class EngineInputs(Struct, frozen=True):
    """Texts to embed."""

    input: Sequence[str | tuple[int, ...]]
    encoding_format: str = "base64"


class EngineWords(Struct, frozen=True):
    """A text to cut into tokens, as it would be for the model."""

    content: str
    add_special: bool = True
    parse_special: bool = True


class Timings(Struct, frozen=True):
    """`cache_n` tokens of the prompt needed no work."""

    cache_n: int = 0


class Piece(Struct, frozen=True):
    """A piece of an answer; the last one says `stop` and what the answer took."""

    content: str = ""
    stop: bool = False
    stop_type: str = ""
    stopping_word: str = ""
    tokens_predicted: int = 0
    tokens_evaluated: int = 0
    timings: Timings = Timings()
    completion_probabilities: tuple[Raw, ...] = ()
    error: ChunkError | None = None


class Probabilities(Struct, frozen=True):
    """Logprobs as chats have them."""

    content: tuple[Raw, ...]


_encoder = msgspec.json.Encoder()
_piece = msgspec.json.Decoder(Piece)


def encode(asked: CompletionRequest, so_far: str = "") -> bytes:
    """The body for the engine. `so_far` is an answer that it has to go on with. Raises `Unsupported`."""
    before = asked.prompt if isinstance(asked.prompt, str) else tuple(n for n in asked.prompt if isinstance(n, int))
    text = EngineText(n_predict=asked.limit_tokens, n_probs=_probabilities(asked.logprobs), **sampled(asked))
    if asked.suffix is None:
        body = msgspec.structs.replace(text, prompt=before + so_far if isinstance(before, str) else before)
    elif isinstance(before, str):
        body = msgspec.structs.replace(text, input_prefix=before, input_suffix=asked.suffix)
    else:
        raise unsupported("prompt", "What is before a suffix is given as text.")
    return _encoder.encode(body)


def held_to(schema: dict[str, Any], prompt: str, asked: Sampled) -> bytes:
    """The body for an answer to a prompt that is JSON under a schema."""
    return _encoder.encode(
        EngineText(prompt=prompt, n_predict=unset(asked.limit_tokens), json_schema=schema, **sampled(asked))
    )


def words(text: str) -> bytes:
    """The body that asks for a text's tokens."""
    return _encoder.encode(EngineWords(text))


def inputs(texts: Sequence[str | tuple[int, ...]]) -> bytes:
    """The body that asks for vectors."""
    return _encoder.encode(EngineInputs(texts))


class TextReader:
    """One answer as it comes; the engine's counterpart of `ChunkReader`. No I/O."""

    def __init__(self) -> None:
        self._events = EventReader()
        self._last: Piece | None = None

    @property
    def done(self) -> bool:
        """Whether its last piece was there."""
        return self._last is not None

    def take(self, piece: bytes) -> Sequence[ChunkChoice]:
        """What these bytes add. Raises `BackendFailed` for what makes no sense, and for a failure that is reported."""
        added: list[ChunkChoice] = []
        try:
            for event in self._events.feed(piece):
                said = _piece.decode(event)
                if said.error is not None:
                    raise BackendFailed("The engine failed in mid-answer.")
                if said.content:
                    added.append(ChunkChoice(Delta(content=said.content), logprobs=_logprobs(said)))
                if said.stop:
                    self._last = said
                    break
        except (msgspec.DecodeError, UnicodeDecodeError, TooLarge) as error:
            raise BackendFailed("The engine's answer makes no sense.") from error
        return added

    def end(self) -> End:
        """How it ended. Raises `BackendFailed` if it did not say."""
        last = self._last
        if last is None:
            raise BackendFailed("The engine's answer ended without its end mark.")
        usage = CompletionUsage(
            prompt_tokens=last.tokens_evaluated,
            completion_tokens=last.tokens_predicted,
            total_tokens=last.tokens_evaluated + last.tokens_predicted,
            prompt_tokens_details=CachedTokens(last.timings.cache_n),
        )
        return End(("length" if last.stop_type == LIMIT else "stop",), usage, stopped_by=last.stopping_word)


def _probabilities(wanted: int | None) -> int | UnsetType:
    """At least one for each token: the token's own comes only with some."""
    return UNSET if wanted is None else max(1, wanted)


def _logprobs(said: Piece) -> Raw | UnsetType:
    if not said.completion_probabilities:
        return UNSET
    return Raw(_encoder.encode(Probabilities(said.completion_probabilities)))
