"""The swarm's models as Ollama lists them: as much as is known of them, and nothing made up but what its clients cannot do without.

Pure. Sizes on disk, families and quantization are known to workers alone, and left at 0 or empty.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from msgspec import Struct

from hyperinfer.contracts.gateway import PublicModel, SwarmWorker
from hyperinfer.contracts.inference import ModelStatus
from hyperinfer.edge.operations import Body
from hyperinfer.errors import ModelNotFound
from hyperinfer.protocol.model_names import find

ARCHITECTURE = "hyperinfer"
"""What stands for an architecture; clients look for the context's length under its name."""
CAPABILITIES: Mapping[str, str] = {
    "chat": "completion",
    "completion": "completion",
    "embedding": "embedding",
    "tools": "tools",
    "vision": "vision",
    "reasoning": "thinking",
    "suffix": "insert",
}
"""What a model can do, as Ollama calls it."""
READY = "ready"
FOREVER = "9999-12-31T23:59:59Z"
"""When a loaded model expires: only its worker knows."""


class OllamaDetails(Body, frozen=True, kw_only=True):
    """What a model's file would say."""

    parent_model: str = ""
    format: str = ""
    family: str = ""
    families: tuple[str, ...] = ()
    parameter_size: str = ""
    quantization_level: str = ""
    context_length: int = 0


class OllamaModel(Body, frozen=True, kw_only=True):
    """A model or an alias. `modified_at` is when this gateway first saw it. `digest` is one of the model's name and that
    moment, not of its weights: it only tells models from one another.
    """

    name: str
    model: str
    modified_at: str
    size: int = 0
    digest: str
    details: OllamaDetails
    capabilities: tuple[str, ...]


class OllamaModels(Body, frozen=True, kw_only=True):
    """`GET /api/tags`."""

    models: tuple[OllamaModel, ...]


class OllamaShown(Body, frozen=True, kw_only=True):
    """`POST /api/show`."""

    modelfile: str = ""
    parameters: str = ""
    template: str = ""
    details: OllamaDetails
    model_info: dict[str, str | int]
    capabilities: tuple[str, ...]
    modified_at: str


class OllamaLoaded(Body, frozen=True, kw_only=True):
    """A model in memory; `size` is all of it at every worker that has it, in bytes, as far as they tell."""

    name: str
    model: str
    size: int
    digest: str
    details: OllamaDetails
    expires_at: str = FOREVER
    size_vram: int = 0
    context_length: int


class OllamaProcesses(Body, frozen=True, kw_only=True):
    """`GET /api/ps`."""

    models: tuple[OllamaLoaded, ...]


class OllamaVersion(Body, frozen=True, kw_only=True):
    """`GET /api/version`."""

    version: str


class OllamaShow(Struct, frozen=True, kw_only=True):
    """The body of `POST /api/show`; `name` is what `model` was called before."""

    model: str = ""
    name: str = ""


def listed(models: Iterable[PublicModel]) -> OllamaModels:
    """Every model."""
    return OllamaModels(models=tuple(_listed(model) for model in models))


def shown(name: str, models: Sequence[PublicModel]) -> OllamaShown:
    """The model of this name. Raises `ModelNotFound`."""
    found = find(name, [model.id for model in models])
    for model in models:
        if model.id == found:
            return OllamaShown(
                details=_details(model),
                model_info={
                    "general.architecture": ARCHITECTURE,
                    "general.basename": model.id,
                    f"{ARCHITECTURE}.context_length": model.context_tokens,
                },
                capabilities=_capabilities(model),
                modified_at=_moment(model.created),
            )
    raise ModelNotFound(f"model '{name[:200]}' not found: No worker of this swarm has it.", model=name[:200])


def loaded(models: Iterable[PublicModel], workers: Iterable[SwarmWorker]) -> OllamaProcesses:
    """Those of the models that are in some worker's memory; aliases are none of their own."""
    sizes = Counter[str]()
    for status in _ready(workers):
        sizes[status.name] += status.memory_bytes
    ready = [model for model in models if model.state == READY and not model.answered_by]
    return OllamaProcesses(models=tuple(_loaded(model, sizes[model.id]) for model in ready))


def _listed(model: PublicModel) -> OllamaModel:
    return OllamaModel(
        name=model.id,
        model=model.id,
        modified_at=_moment(model.created),
        digest=_digest(model),
        details=_details(model),
        capabilities=_capabilities(model),
    )


def _loaded(model: PublicModel, size_bytes: int) -> OllamaLoaded:
    return OllamaLoaded(
        name=model.id,
        model=model.id,
        size=size_bytes,
        digest=_digest(model),
        details=_details(model),
        context_length=model.context_tokens,
    )


def _ready(workers: Iterable[SwarmWorker]) -> Iterator[ModelStatus]:
    for worker in workers:
        if worker.state == READY:
            yield from (status for status in worker.models if status.state == READY)


def _details(model: PublicModel) -> OllamaDetails:
    return OllamaDetails(context_length=model.context_tokens)


def _capabilities(model: PublicModel) -> tuple[str, ...]:
    return tuple(dict.fromkeys(CAPABILITIES[one] for one in model.capabilities if one in CAPABILITIES))


def _moment(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _digest(model: PublicModel) -> str:
    """An alias has that of the model that answers first."""
    name = model.answered_by[0] if model.answered_by else model.id
    return hashlib.sha256(f"{name} {model.created}".encode()).hexdigest()
