"""Kinds of servers: what their models can do, and in what they differ from OpenAI."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from hyperinfer.workers.inference.backends import (
    BIAS,
    CHAT,
    CHOICES,
    COMPLETION,
    CONTINUES,
    DIMENSIONS,
    EMBEDDING,
    JSON,
    LOGPROBS,
    REASONING,
    TOKENS,
    TOOLS,
    VISION,
)
from hyperinfer.workers.inference.backends.openai.settings import FlavorName

OPENAI_HOST = "api.openai.com"


@dataclass(frozen=True, slots=True)
class Flavor:
    """One kind of server.

    `generates` and `embeds` are the capabilities of its models. `limit` is the name of the longest answer's length in a chat,
    `has_developers` whether it knows that role. `continuing` are the fields that let a last message of the assistant be
    gone on with, and `joins` says that it takes no two of these in a row. `always` goes with every request, `repeating` is
    what it calls a penalty for repeating, `packs` tells that it gives embeddings in base64.
    """

    name: FlavorName
    generates: tuple[str, ...]
    embeds: tuple[str, ...] = (EMBEDDING,)
    limit: str = "max_tokens"
    has_developers: bool = False
    continuing: Mapping[str, Any] = field(default_factory=dict)
    joins: bool = False
    always: Mapping[str, Any] = field(default_factory=dict)
    repeating: str = "repeat_penalty"
    packs: bool = False


OPENAI = Flavor(
    "openai",
    # OpenAI's completions are of models that it hardly has any more.
    generates=(CHAT, JSON, TOOLS, VISION, REASONING, LOGPROBS, BIAS, CHOICES),
    embeds=(EMBEDDING, TOKENS, DIMENSIONS),
    limit="max_completion_tokens",
    has_developers=True,
    packs=True,
)
VLLM = Flavor(
    "vllm",
    generates=(CHAT, COMPLETION, JSON, TOOLS, VISION, REASONING, LOGPROBS, BIAS, CHOICES, TOKENS, CONTINUES),
    embeds=(EMBEDDING, TOKENS, DIMENSIONS),
    continuing={"continue_final_message": True, "add_generation_prompt": False},
    repeating="repetition_penalty",
    packs=True,
)
SGLANG = Flavor(
    "sglang",
    generates=(CHAT, COMPLETION, JSON, TOOLS, VISION, REASONING, LOGPROBS, BIAS, CHOICES, TOKENS, CONTINUES),
    embeds=(EMBEDDING, TOKENS),
    continuing={"continue_final_message": True, "add_generation_prompt": False},
    repeating="repetition_penalty",
)
LLAMACPP = Flavor(
    "llamacpp",
    # Tools, images and thinking depend on the model, and it tells. It gives several answers, but counts them one by one.
    generates=(CHAT, COMPLETION, JSON, LOGPROBS, BIAS, TOKENS, CONTINUES),
    embeds=(EMBEDDING, TOKENS),
    joins=True,
    # Without it, who goes away while a long prompt is read is not noticed before the first token.
    always={"return_progress": True},
    packs=True,
)
LMSTUDIO = Flavor("lmstudio", generates=(CHAT, COMPLETION, JSON, TOOLS, BIAS))
GENERIC = Flavor("generic", generates=(CHAT, COMPLETION))

FLAVORS = {flavor.name: flavor for flavor in (OPENAI, VLLM, SGLANG, LLAMACPP, LMSTUDIO, GENERIC)}
OWNERS = {"vllm": VLLM, "sglang": SGLANG, "llamacpp": LLAMACPP, "organization_owner": LMSTUDIO}
"""Whom servers name as the owner of their models (`owned_by`)."""


def found(named: FlavorName, url: str, owners: Iterable[str]) -> Flavor:
    """The kind of a server: the one that is named, or the one that it shows to be."""
    if named != "auto":
        return FLAVORS[named]
    if urlsplit(url).hostname == OPENAI_HOST:
        return OPENAI
    return next((OWNERS[owner] for owner in owners if owner in OWNERS), GENERIC)
