"""Which models Ollama has, as it says itself and as they are offered. Pure.

Source: https://github.com/ollama/ollama/blob/main/docs/api.md, and answers recorded from 0.32.15.
"""

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import msgspec
from msgspec import Struct

from hyperinfer.workers.inference.backends import (
    CHAT,
    COMPLETION,
    CONTINUES,
    DIMENSIONS,
    EMBEDDING,
    JSON,
    LOGPROBS,
    REASONING,
    SUFFIX,
    TOOLS,
    VISION,
    BackendModel,
    State,
)
from hyperinfer.workers.inference.backends.ollama.settings import OllamaSettings

MAX_MODELS = 512
"""Models that are taken note of; nobody has more."""
TELLS_LOGPROBS = (0, 12, 11)
"""The first version that does. One that is built by hand calls itself 0.0.0."""
CAPABILITIES: Mapping[str, tuple[str, ...]] = {
    "completion": (CHAT, COMPLETION, JSON),
    "embedding": (EMBEDDING, DIMENSIONS),
    "tools": (TOOLS,),
    "vision": (VISION,),
    "thinking": (REASONING,),
    "insert": (SUFFIX,),
}
"""What it means here that a model can do what Ollama calls so."""


class Version(Struct, frozen=True):
    """`GET /api/version`."""

    version: str = ""


class Details(Struct, frozen=True):
    """What a model's file says; 0 where a version does not tell."""

    context_length: int = 0


class Tag(Struct, frozen=True):
    """A model on disk. `capabilities` are told from some version on; before, only by `/api/show`. One with a
    `remote_host` runs there.
    """

    name: str
    digest: str = ""
    details: Details | None = None
    capabilities: tuple[str, ...] | None = None
    remote_host: str = ""


class Tags(Struct, frozen=True):
    """`GET /api/tags`."""

    models: tuple[Tag, ...] | None = None


class Loaded(Struct, frozen=True):
    """A model in memory: all of its bytes, and the tokens that one request may have."""

    name: str
    size: int = 0
    context_length: int = 0


class Ps(Struct, frozen=True):
    """`GET /api/ps`."""

    models: tuple[Loaded, ...] | None = None


class Show(Struct, frozen=True):
    """`POST /api/show`, as much of it as is read."""

    capabilities: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What Ollama has, all of it with its capabilities."""

    version: str = ""
    tags: tuple[Tag, ...] = ()
    loaded: Mapping[str, Loaded] = field(default_factory=dict)


def chosen(tags: Tags, settings: OllamaSettings) -> tuple[Tag, ...]:
    """The models that may be offered, if they can do something."""
    return tuple(
        tag
        for tag in (tags.models or ())[:MAX_MODELS]
        if (settings.remote_models or not tag.remote_host) and _matches(tag.name, settings.models)
    )


def offered(
    catalogue: Catalogue, settings: OllamaSettings, *, loading: Collection[str] = (), away: str = ""
) -> tuple[BackendModel, ...]:
    """Its models, for the port."""
    models = []
    for tag in catalogue.tags:
        if capabilities := _capabilities(tag, settings, catalogue.version):
            loaded = catalogue.loaded.get(tag.name)
            models.append(
                BackendModel(
                    name=tag.name,
                    state=_state(tag.name, loaded, loading, away),
                    slots=settings.slots,
                    context_tokens=_context_tokens(tag, loaded, settings),
                    capabilities=capabilities,
                    reason=away,
                    memory_bytes=loaded.size if loaded else 0,
                    revision=_revision(tag, settings),
                )
            )
    return tuple(models)


def _state(name: str, loaded: Loaded | None, loading: Collection[str], away: str) -> State:
    if away:
        return "away"
    if loaded:
        return "ready"
    return "loading" if name in loading else "idle"


def _capabilities(tag: Tag, settings: OllamaSettings, version: str) -> tuple[str, ...]:
    told = tag.capabilities or ()
    found = [ours for theirs in told for ours in CAPABILITIES.get(theirs, ())]
    if CHAT in found:
        if numbers_of(version) >= TELLS_LOGPROBS:
            found.append(LOGPROBS)
        if _matches(tag.name, settings.continues):
            found.append(CONTINUES)
    return tuple(found)


def _revision(tag: Tag, settings: OllamaSettings) -> str:
    """Ollama's digest is of weights, template and parameters; the operator's options lie over the latter."""
    if not (tag.digest and settings.options):
        return tag.digest
    options = msgspec.json.encode(settings.options, order="deterministic")
    return f"{tag.digest} {hashlib.sha256(options).hexdigest()}"


def _context_tokens(tag: Tag, loaded: Loaded | None, settings: OllamaSettings) -> int:
    """Tokens of one request: what it was loaded with, or will be if that is known."""
    if loaded and loaded.context_length:
        return loaded.context_length
    trained = tag.details.context_length if tag.details else 0
    asked = settings.context_tokens or 0
    return min(asked, trained) if trained else asked


def numbers_of(version: str) -> tuple[int, ...]:
    """A version's numbers; of one that is none, those of the newest."""
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:3])
    return numbers if any(numbers) else (2**31,)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
