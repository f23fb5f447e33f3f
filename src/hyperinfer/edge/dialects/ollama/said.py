"""What a model says, as the swarm writes it: OpenAI's chunks and completions, as much of them as Ollama's clients are told. Pure."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

import msgspec
from msgspec import Raw, Struct

from hyperinfer.contracts.openai import CompletionUsage
from hyperinfer.errors import BackendFailed

T = TypeVar("T")

MAX_CALLS = 128
MAX_ARGUMENTS_CHARS = 6 * 1024 * 1024
"""Tool calls of one answer, and the text of their arguments, that are held until they are whole."""


class FunctionPiece(Struct, frozen=True):
    """What is added to a function's call."""

    name: str | None = None
    arguments: str | None = None


class CallPiece(Struct, frozen=True):
    """What is added to the tool call `index`. A whole answer does not number its calls."""

    index: int | None = None
    id: str | None = None
    function: FunctionPiece = FunctionPiece()


class Added(Struct, frozen=True):
    """What is added to a message, or all of it."""

    content: str | None = None
    reasoning_content: str | None = None
    refusal: str | None = None
    tool_calls: tuple[CallPiece, ...] | None = None


class Choice(Struct, frozen=True):
    """A chunk of the answer (`delta`), all of it (`message`), or either of a text. `logprobs` are in the form of its kind."""

    delta: Added | None = None
    message: Added | None = None
    text: str | None = None
    finish_reason: str | None = None
    logprobs: Raw = Raw(b"null")

    @property
    def added(self) -> Added:
        """What it adds."""
        return self.delta or self.message or Added(content=self.text)


class Piece(Struct, frozen=True):
    """A chunk, or a completion; the last chunk has the usage alone."""

    choices: tuple[Choice, ...]
    usage: CompletionUsage | None = None


class Alternative(Struct, frozen=True):
    """A token that could have been said, and how likely."""

    token: str
    logprob: float
    bytes: Sequence[int]


class Token(Alternative, frozen=True, omit_defaults=True):
    """A token that was said, and the likeliest ones there."""

    top_logprobs: tuple[Alternative, ...] = ()


class ChatLogprobs(Struct, frozen=True):
    """As chats have them: entries that are Ollama's, too."""

    content: tuple[Raw, ...] | None = None


class TextLogprobs(Struct, frozen=True):
    """As completions have them: columns."""

    tokens: tuple[str, ...]
    token_logprobs: tuple[float | None, ...]
    top_logprobs: tuple[dict[str, float] | None, ...] | None = None


class Vector(Struct, frozen=True):
    """An embedding; its numbers go on as they were written."""

    index: int
    embedding: Raw


class Vectors(Struct, frozen=True):
    """The reply to a request for embeddings."""

    data: tuple[Vector, ...]
    usage: CompletionUsage = CompletionUsage()


_piece = msgspec.json.Decoder(Piece)
_vectors = msgspec.json.Decoder(Vectors)
_chat_logprobs = msgspec.json.Decoder(ChatLogprobs)
_text_logprobs = msgspec.json.Decoder(TextLogprobs)
_encode = msgspec.json.Encoder().encode


def read_piece(chunk: bytes | Raw) -> Piece:
    """A chunk, or a completion. Raises `BackendFailed` for what is none."""
    return _read(_piece, chunk)


def read_vectors(reply: bytes | Raw) -> Vectors:
    """Embeddings in the order of their inputs. Raises `BackendFailed` for what is none."""
    vectors = _read(_vectors, reply)
    return msgspec.structs.replace(vectors, data=tuple(sorted(vectors.data, key=lambda one: one.index)))


def read_logprobs(told: Raw, *, of_text: bool) -> tuple[Raw, ...]:
    """An entry for each token. Raises `BackendFailed` for what is none."""
    if bytes(told) == b"null":
        return ()
    if of_text:
        return tuple(Raw(_encode(token)) for token in _rows(_read(_text_logprobs, told)))
    return _read(_chat_logprobs, told).content or ()


def _rows(columns: TextLogprobs) -> Iterator[Token]:
    tops = columns.top_logprobs or (None,) * len(columns.tokens)
    for token, logprob, top in zip(columns.tokens, columns.token_logprobs, tops, strict=False):
        alternatives = tuple(Alternative(one, value, list(one.encode())) for one, value in (top or {}).items())
        yield Token(token, logprob or 0.0, list(token.encode()), alternatives)


def _read(decoder: msgspec.json.Decoder[T], data: bytes | Raw) -> T:
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BackendFailed("The worker's answer makes no sense.") from error


class Calls:
    """The tool calls of an answer, put together from their pieces."""

    def __init__(self) -> None:
        self._pieces: dict[int, list[CallPiece]] = {}
        self._size_chars = 0

    def __bool__(self) -> bool:
        return bool(self._pieces)

    def take(self, pieces: Sequence[CallPiece]) -> None:
        """Add these. Raises `BackendFailed` for calls without end."""
        for piece in pieces:
            index = len(self._pieces) if piece.index is None else piece.index
            self._pieces.setdefault(index, []).append(piece)
            self._size_chars += len(piece.function.arguments or "")
        if len(self._pieces) > MAX_CALLS or self._size_chars > MAX_ARGUMENTS_CHARS:
            raise BackendFailed("The model calls tools without end.")

    def whole(self) -> Iterator[tuple[str, str, str]]:
        """Of each its id, the function's name, and its arguments as the model wrote them."""
        for index, pieces in sorted(self._pieces.items()):
            named = next((piece.id for piece in pieces if piece.id), f"call_{index}")
            name = "".join(piece.function.name or "" for piece in pieces)
            yield named, name, "".join(piece.function.arguments or "" for piece in pieces)
