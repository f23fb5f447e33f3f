"""What a server says that it has, and what of it is offered. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from msgspec import Struct

from hyperinfer.workers.inference.backends import REASONING, TOOLS, VISION, BackendModel
from hyperinfer.workers.inference.backends.openai import flavors
from hyperinfer.workers.inference.backends.openai.flavors import GENERIC, Flavor
from hyperinfer.workers.inference.backends.openai.settings import ServerSettings

MAX_MODELS = 1000
MAX_NAME_CHARS = 200
DEFAULT_SLOTS = 8
PATTERN = frozenset("*?[")


class Listed(Struct, frozen=True):
    """A model in a server's list. How many tokens it takes is told under as many names as there are servers."""

    id: str
    owned_by: str | None = None
    max_model_len: Any = None
    context_length: Any = None
    context_window: Any = None
    max_context_length: Any = None
    meta: Any = None
    architecture: Any = None

    @property
    def context_tokens(self) -> int:
        """Tokens of one request; 0 if it does not say."""
        meta = self.meta if isinstance(self.meta, dict) else {}
        told = (
            self.max_model_len,
            self.context_length,
            self.context_window,
            self.max_context_length,
            meta.get("n_ctx"),
        )
        return next((number for number in told if isinstance(number, int) and number > 0), 0)

    @property
    def reads_images(self) -> bool | None:
        """Whether it takes images; `None` if it does not say."""
        inputs = self.architecture.get("input_modalities") if isinstance(self.architecture, dict) else None
        return "image" in inputs if isinstance(inputs, list) else None


class Listing(Struct, frozen=True):
    """`GET /v1/models`."""

    data: tuple[Listed, ...] | None = None


class TemplateCaps(Struct, frozen=True):
    """What a model's chat template has room for."""

    supports_tools: bool = False
    supports_reasoning_effort: bool = False


class Props(Struct, frozen=True):
    """`GET /props` of llama.cpp's server."""

    total_slots: int = 0
    chat_template_caps: TemplateCaps = TemplateCaps()


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A server's kind, and its models by the names that we give them: each with the server's own."""

    flavor: Flavor = GENERIC
    models: Mapping[str, BackendModel] = field(default_factory=dict)
    theirs: Mapping[str, str] = field(default_factory=dict)

    def away(self, reason: str) -> "Catalogue":
        """The same while the server cannot be reached."""
        return replace(
            self, models={name: replace(model, state="away", reason=reason) for name, model in self.models.items()}
        )


def catalogue(listed: Iterable[Listed], settings: ServerSettings, props: Props | None = None) -> Catalogue:
    """What is offered of a server's list."""
    known = {one.id: one for one in listed if 0 < len(one.id) <= MAX_NAME_CHARS}
    flavor = flavors.found(settings.flavor, settings.url, (one.owned_by or "" for one in known.values()))
    theirs = dict(list(_chosen(known, settings).items())[:MAX_MODELS])
    models = {name: _offered(name, known[own], settings, flavor, props) for name, own in theirs.items()}
    return Catalogue(flavor, models, theirs)


def unlisted(settings: ServerSettings) -> tuple[Listed, ...]:
    """The models that the settings name, for a server that lists none."""
    names = settings.models.values() if isinstance(settings.models, dict) else settings.models
    return tuple(Listed(id=name) for name in names if not PATTERN & set(name))


def _chosen(known: Mapping[str, Listed], settings: ServerSettings) -> dict[str, str]:
    """Our names of the models that may be used, and the server's."""
    if isinstance(settings.models, dict):
        return {name: own for name, own in settings.models.items() if own in known}
    patterns = settings.models or ("*",)
    chosen: dict[str, str] = {}
    for own in known:
        name = _without_folder(own)
        if any(fnmatchcase(own, pattern) or fnmatchcase(name, pattern) for pattern in patterns):
            chosen.setdefault(f"{settings.prefix}{name}", own)
    return chosen


def _without_folder(own: str) -> str:
    """A model's name. Servers name one that they were given as a file by its whole path, which is nobody's business."""
    if own.startswith("/"):
        own = PurePosixPath(own).name
    elif PureWindowsPath(own).drive:
        own = PureWindowsPath(own).name
    return own.removesuffix(".gguf") or own


def _offered(name: str, listed: Listed, settings: ServerSettings, flavor: Flavor, props: Props | None) -> BackendModel:
    told = props.total_slots if props else 0
    return BackendModel(
        name=name,
        state="ready",
        slots=settings.slots or told or DEFAULT_SLOTS,
        context_tokens=settings.context_tokens or listed.context_tokens,
        capabilities=_capabilities(listed, settings, flavor, props),
    )


def _capabilities(listed: Listed, settings: ServerSettings, flavor: Flavor, props: Props | None) -> tuple[str, ...]:
    if any(fnmatchcase(listed.id.lower(), pattern.lower()) for pattern in settings.embedders):
        return flavor.embeds
    if settings.capabilities is not None:
        return settings.capabilities
    able = dict.fromkeys(flavor.generates)
    if listed.reads_images is not None:
        able.pop(VISION, None)
        able |= {VISION: None} if listed.reads_images else {}
    if props and props.chat_template_caps.supports_tools:
        able[TOOLS] = None
    if props and props.chat_template_caps.supports_reasoning_effort:
        able[REASONING] = None
    return tuple(able)
