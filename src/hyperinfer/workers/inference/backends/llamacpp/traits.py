"""What a model is, as the header of its file and its chat template tell it: what it can do, and what memory it takes."""

import re
from dataclasses import dataclass

from hyperinfer.workers.inference.backends import (
    BIAS,
    CHAT,
    COMPLETION,
    CONTINUES,
    EMBEDDING,
    JSON,
    LOGPROBS,
    REASONING,
    SUFFIX,
    TOKENS,
    TOOLS,
    VISION,
)
from hyperinfer.workers.inference.backends.llamacpp.gguf import Damaged, Header

TEXTS = (COMPLETION, JSON, LOGPROBS, BIAS, TOKENS, CONTINUES)
"""What every model that generates can do."""
ENCODERS = frozenset(
    {"bert", "modern-bert", "neo-bert", "nomic-bert", "nomic-bert-moe", "jina-bert-v2", "jina-bert-v3", "eurobert"}
)
"""Architectures that never generate."""
NO_MODELS = frozenset({"mmproj", "adapter", "imatrix", "vocab"})
"""What else is kept in GGUF files, by `general.type`."""
RANKS = 4
"""The way of pooling by which a model tells how well two texts match, and no vector."""
CACHE_BYTES = 2
"""A number in the cache of keys and values is a half."""
RUNTIME_BYTES = 128 * 1024 * 1024
"""What an engine takes beside weights and cache, about."""
FILLS_IN = ("tokenizer.ggml.fim_pre_token_id", "tokenizer.ggml.prefix_token_id")


@dataclass(frozen=True, slots=True)
class Traits:
    """What there is to know of a model before it is loaded. `cache_bytes` is for each token of context."""

    capabilities: tuple[str, ...]
    trained_tokens: int = 0
    cache_bytes: int = 0

    @property
    def embeds(self) -> bool:
        """Whether it makes vectors instead of text."""
        return EMBEDDING in self.capabilities

    def context_tokens(self, wanted: int) -> int:
        """So many tokens for a slot, or as many as it was trained for."""
        return min(wanted, self.trained_tokens) if self.trained_tokens else wanted

    def memory_bytes(self, file_bytes: int, *, slots: int, context_tokens: int) -> int:
        """About how much it takes once it is loaded."""
        cached_tokens = slots * self.context_tokens(context_tokens)
        return file_bytes + cached_tokens * self.cache_bytes + RUNTIME_BYTES


UNKNOWN = Traits(capabilities=(CHAT, *TEXTS))
"""What is said of a model whose file is still to come."""


def is_model(header: Header) -> bool:
    """Whether a file is a model at all: projectors, adapters and the like are kept in such files too."""
    return header.text("general.type") not in NO_MODELS and header.text("general.architecture") not in ("", "clip")


def of(header: Header, *, template: str = "", sees: bool = False) -> Traits:
    """What a header tells. `template` is one given for the model instead of its own; `sees` says that a projector of
    images is there. Raises `Damaged` for a model that this engine is not asked to run."""
    architecture = header.text("general.architecture")
    pooling = header.number(f"{architecture}.pooling_type")
    if pooling == RANKS:
        raise Damaged("The model ranks texts, which nothing here asks for.")
    if pooling or architecture in ENCODERS:
        capabilities: tuple[str, ...] = (EMBEDDING, TOKENS)
    else:
        capabilities = _generates(header, template or header.text("tokenizer.chat_template"), sees=sees)
    return Traits(
        capabilities=capabilities,
        trained_tokens=header.number(f"{architecture}.context_length"),
        cache_bytes=0 if architecture in ENCODERS else _cache_bytes(header, architecture),
    )


def with_template(capabilities: tuple[str, ...], *, tools: bool, fills_in: bool) -> tuple[str, ...]:
    """The same capabilities, once the engine has said what it makes of the model's template and tokens."""
    known = {TOOLS: tools, SUFFIX: fills_in}
    kept = [capability for capability in capabilities if known.get(capability, True)]
    return (*kept, *(one for one, there in known.items() if there and one not in kept and CHAT in kept))


def _generates(header: Header, template: str, *, sees: bool) -> tuple[str, ...]:
    there = {
        CHAT: bool(template),
        TOOLS: _names(template, "tools"),
        REASONING: _names(template, "enable_thinking") or _names(template, "reasoning_effort"),
        VISION: bool(template) and sees,
        SUFFIX: any(key in header.entries for key in FILLS_IN),
    }
    return (*TEXTS, *(capability for capability, is_there in there.items() if is_there))


def _names(template: str, variable: str) -> bool:
    return re.search(rf"\b{variable}\b", template) is not None


def _cache_bytes(header: Header, architecture: str) -> int:
    """Keys and values of one token, in all layers."""
    heads = header.number(f"{architecture}.attention.head_count") or 1
    width = header.number(f"{architecture}.embedding_length") // heads
    keys = header.number(f"{architecture}.attention.key_length") or width
    values = header.number(f"{architecture}.attention.value_length") or width
    shared = header.number(f"{architecture}.attention.head_count_kv") or heads
    return header.number(f"{architecture}.block_count") * shared * (keys + values) * CACHE_BYTES
