"""Vectors as OpenAI gives them: as numbers, or as little-endian float32 in base64."""

import base64
import struct

import msgspec
from msgspec import Raw

from hyperinfer.contracts.openai import Embedding, EmbeddingRequest, Embeddings, EmbeddingUsage
from hyperinfer.errors import BackendFailed, BadRequest
from hyperinfer.workers.inference.answers.stamp import Stamp
from hyperinfer.workers.inference.backends import Embedded

MAX_REPLY_BYTES = 12 * 1024 * 1024
"""Largest reply; what crosses the net in one message is bounded."""
FLOAT_BYTES = 4

_encoder = msgspec.json.Encoder()


def embeddings(stamp: Stamp, asked: EmbeddingRequest, embedded: Embedded) -> Raw:
    """The reply. Raises `BadRequest` if it would be too large, and `BackendFailed` for vectors that are none."""
    as_text = asked.encoding_format == "base64"
    reply = Embeddings(
        data=tuple(
            Embedding(index=index, embedding=base64.b64encode(vector).decode() if as_text else _numbers(vector))
            for index, vector in enumerate(embedded.vectors)
        ),
        model=stamp.model,
        usage=EmbeddingUsage(embedded.prompt_tokens, embedded.prompt_tokens),
    )
    encoded = _encoder.encode(reply)
    if len(encoded) > MAX_REPLY_BYTES:
        raise BadRequest(
            "The embeddings of so many texts are too large for one reply: send fewer, or ask for base64.", param="input"
        )
    return Raw(encoded)


def _numbers(vector: bytes) -> tuple[float, ...]:
    if len(vector) % FLOAT_BYTES:
        raise BackendFailed("The backend's embeddings make no sense.")
    return struct.unpack(f"<{len(vector) // FLOAT_BYTES}f", vector)
