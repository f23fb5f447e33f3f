"""Embeddings in Ollama's form. Pure but for the clock."""

import msgspec
from msgspec import Raw, Struct

from hyperinfer.contracts.gateway import Inferred
from hyperinfer.edge.dialects.ollama.answers import Whole, nanoseconds
from hyperinfer.edge.dialects.ollama.said import read_vectors
from hyperinfer.errors import BackendFailed
from hyperinfer.facilities.clock import Clock


class OllamaVectors(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Embeddings in the order of their inputs."""

    model: str
    embeddings: tuple[Raw, ...]
    total_duration: int = 0
    load_duration: int = 0
    prompt_eval_count: int = 0


class OllamaVector(Struct, frozen=True):
    """One embedding."""

    embedding: Raw


_encode = msgspec.json.Encoder().encode


class Embedded(Whole):
    """Vectors; `is_empty` where there was nothing to embed and the model was only loaded."""

    def __init__(self, model: str, clock: Clock, *, is_empty: bool) -> None:
        self._model = model
        self._clock = clock
        self._began = clock.monotonic()
        self._is_empty = is_empty

    def whole(self, inferred: Inferred) -> bytes:
        """All of them."""
        vectors = read_vectors(inferred.processed.completion)
        total_duration = nanoseconds(self._clock.monotonic() - self._began)
        if self._is_empty:
            return _encode(OllamaVectors(model=self._model, embeddings=(), total_duration=total_duration))
        return _encode(
            OllamaVectors(
                model=self._model,
                embeddings=tuple(one.embedding for one in vectors.data),
                total_duration=total_duration,
                prompt_eval_count=vectors.usage.prompt_tokens,
            )
        )


class EmbeddedOne(Whole):
    """One vector, of `/api/embeddings`; none (`is_empty`) where the model was only loaded."""

    def __init__(self, *, is_empty: bool) -> None:
        self._is_empty = is_empty

    def whole(self, inferred: Inferred) -> bytes:
        """It."""
        vectors = read_vectors(inferred.processed.completion).data
        if len(vectors) != 1:
            raise BackendFailed("The worker's answer makes no sense.")
        return _encode(OllamaVector(Raw(b"[]") if self._is_empty else vectors[0].embedding))
