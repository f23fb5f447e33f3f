"""Vectors as OpenAI gives them: as numbers, or as little-endian float32 in base64."""

import base64
import struct

import msgspec
from msgspec import Raw

from hyperinfer.contracts.openai import Embedding, EmbeddingRequest, EmbeddingUsage
from hyperinfer.errors import BackendFailed, BadRequest
from hyperinfer.workers.inference.answers.stamp import Stamp
from hyperinfer.workers.inference.backends import Embedded

MAX_REPLY_BYTES = 12 * 1024 * 1024
"""Largest reply; what crosses the net in one message is bounded."""
FLOAT_BYTES = 4

_encoder = msgspec.json.Encoder()


def embeddings(stamp: Stamp, asked: EmbeddingRequest, embedded: Embedded) -> Raw:
    """The reply. Raises `BadRequest` if it would be too large, before more than that is held, and `BackendFailed` for vectors
    that are none."""
    as_text = asked.encoding_format == "base64"
    rows: list[bytes] = []
    size_bytes = 0
    for index, vector in enumerate(embedded.vectors):
        shown = base64.b64encode(vector).decode() if as_text else _numbers(vector)
        row = _encoder.encode(Embedding(index=index, embedding=shown))
        size_bytes += len(row) + 1
        if size_bytes > MAX_REPLY_BYTES:
            raise BadRequest(
                "The embeddings of so many texts are too large for one reply: send fewer, or ask for base64.",
                param="input",
            )
        rows.append(row)
    usage = EmbeddingUsage(embedded.prompt_tokens, embedded.prompt_tokens)
    return Raw(
        b'{"object":"list","data":[%b],"model":%b,"usage":%b}'
        % (b",".join(rows), _encoder.encode(stamp.model), _encoder.encode(usage))
    )


def _numbers(vector: bytes) -> tuple[float, ...]:
    if len(vector) % FLOAT_BYTES:
        raise BackendFailed("The backend's embeddings make no sense.")
    return struct.unpack(f"<{len(vector) // FLOAT_BYTES}f", vector)
