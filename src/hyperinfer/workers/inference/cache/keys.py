"""Which requests have only one answer, and the key it is kept under: who asks, which model, and what changes the answer."""

import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hyperinfer.contracts.inference import Kind, ProcessRequest
from hyperinfer.contracts.openai import EmbeddingRequest
from hyperinfer.workers.inference.backends import BackendModel
from hyperinfer.workers.inference.cache.config import CacheSettings
from hyperinfer.workers.inference.requests import Request

FORM = b"1"
"""Goes into every key: raise it when what is kept, or what it depends on, changes."""
MAX_BODY_BYTES = 256 * 1024
"""Longest request that is looked up: larger ones hold images or whole libraries, and hardly come twice."""
SAME_ANSWER = frozenset(
    {
        "encoding_format",  # vectors are kept as numbers
        "metadata",
        "model",  # an alias; which model it is stands in the key
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "store",
        "stream",
        "stream_options",
        "user",
    }
)
"""Fields that do not change the answer."""


@dataclass(frozen=True, slots=True)
class CacheKey:
    """What an answer is kept under, and the key (32 bytes) that it is encrypted with outside of this process. Neither
    tells anything of the request, nor of the other."""

    name: str
    secret: bytes = field(repr=False)


class Keys:
    """The keys of a worker. Workers with the same `secret` have the same."""

    def __init__(self, settings: CacheSettings, secret: bytes) -> None:
        self._settings = settings
        self._secret = secret
        self._here = secrets.token_hex(16)

    def key(self, request: ProcessRequest, read: Request, backend: str, model: BackendModel) -> CacheKey | None:
        """What the answer is kept under; nothing if it must not come from the cache, nor go there."""
        whose = self._whose(request.fair_key, read.kind)
        if whose is None or not self._is_wanted(request) or not is_determined(read):
            return None
        asked = canonical(read.body)
        if asked is None:
            return None
        # Of a model whose weights are not known only this process knows that it is the same one.
        known_by = model.revision or self._here
        parts = (whose, backend, model.name, known_by, str(model.context_tokens), read.kind)
        digest = _digest(self._secret, [FORM, *(part.encode() for part in parts), asked])
        return CacheKey(_digest(digest, [b"name"]).hex(), _digest(digest, [b"encryption"]))

    def _is_wanted(self, request: ProcessRequest) -> bool:
        use = self._settings.use
        if use == "never" or request.continues is not None:
            return False
        return request.cache is True or (use == "always" and request.cache is None)

    def _whose(self, fair_key: str, kind: Kind) -> str | None:
        """For whom an answer is kept; nothing if it is not known who asks."""
        shared = self._settings.shared
        if shared == "everything" or (shared == "embeddings" and kind == "embedding"):
            return "all"
        return f"user {fair_key}" if fair_key else None


def is_determined(read: Request) -> bool:
    """Whether a request has only one answer: nothing is left to chance, or chance is told where to begin."""
    asked = read.asked
    return isinstance(asked, EmbeddingRequest) or asked.temperature == 0 or asked.seed is not None


def canonical(body: bytes) -> bytes | None:
    """What in a request changes its answer, in one order and without blanks. Nothing for a body that is too long, or says
    a thing twice: of those two a backend may take another than we do."""
    if len(body) > MAX_BODY_BYTES:
        return None
    try:
        fields = json.loads(body, object_pairs_hook=_unambiguous)
    except (ValueError, RecursionError):
        return None
    said = {name: value for name, value in fields.items() if value is not None and name not in SAME_ANSWER}
    return json.dumps(said, sort_keys=True, separators=(",", ":")).encode()


def _unambiguous(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _digest(key: bytes, parts: Sequence[bytes]) -> bytes:
    """HMAC-SHA256 of parts that cannot run into one another."""
    made = hmac.new(key, digestmod=hashlib.sha256)
    for part in parts:
        made.update(len(part).to_bytes(8, "big"))
        made.update(part)
    return made.digest()
