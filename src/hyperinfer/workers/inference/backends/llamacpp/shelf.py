"""The models that could be run now: those of a file, of a folder, or the packaged one and the folder of pulled ones."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from hyperinfer.errors import StartError
from hyperinfer.workers.inference.backends.llamacpp import folder, gguf, revision, traits, weights
from hyperinfer.workers.inference.backends.llamacpp.folder import File, Found
from hyperinfer.workers.inference.backends.llamacpp.settings import LlamaCppSettings
from hyperinfer.workers.inference.backends.llamacpp.traits import Traits

MAX_MODELS = 256
MAX_TEMPLATE_BYTES = 1024 * 1024

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """A model and what is known of it. `found` is missing while its file is still to be fetched; `problem` says why it can
    never be run like this, to the operator."""

    name: str
    found: Found | None
    traits: Traits = traits.UNKNOWN
    template: str = ""
    revision: str = ""
    problem: str = ""
    is_packaged: bool = False


class Shelf:
    """Looks at what there is. `first` is the name of the model that is run without being asked for, if there is one."""

    def __init__(self, settings: LlamaCppSettings, *, data: Path, models: Path, default: str) -> None:
        """`data` is the worker's folder, `models` the one of pulled models, `default` the model that the operator wants
        to answer requests without one. Raises `StartError` if the settings name what is not there."""
        self._data = data
        self._known: dict[Found, Entry | None] = {}
        self._packaged = None if settings.model_path else weights.SMOLLM2
        self._path = Path(settings.model_path).expanduser().absolute() if settings.model_path else models
        self._is_file = bool(settings.model_path) and not self._path.is_dir()
        self._name = settings.model_name
        self._template = _template_of(settings.chat_template_file)
        if self._is_file:
            weights.check_gguf(self._path)
        self.first = default or self._alone()

    async def look(self) -> tuple[Entry, ...]:
        """What there is now, the first model first."""
        entries = await asyncio.to_thread(lambda: tuple(self._entries()))
        return tuple(sorted(entries, key=lambda entry: entry.name != self.first)[:MAX_MODELS])

    async def find(self, entry: Entry) -> Path:
        """A model's file; the packaged one is fetched if it has to be. Raises `StartError` with what to do."""
        if entry.is_packaged and self._packaged:
            return await weights.find(self._packaged, self._data)
        assert entry.found is not None
        return entry.found.path

    def _alone(self) -> str:
        """The model that is run where none is wanted by name: the only one, as far as the settings know."""
        if self._packaged:
            return self._packaged.model
        return (self._name or folder.public_name(self._path.stem)) if self._is_file else ""

    def _entries(self) -> Iterator[Entry]:
        found: dict[str, Found] = {}
        for model in self._found():
            name = (self._is_file and self._name) or model.name
            found[name] = replace(model, name=name)
        if self._packaged:
            try:
                found[self._packaged.model] = Found(self._packaged.model, (File.at(weights.path(self._packaged)),))
            except OSError:  # it is still to be fetched
                yield Entry(self._packaged.model, None, template=self._template, is_packaged=True)
        before, self._known = self._known, {}
        for model in found.values():
            entry = before[model] if model in before else self._read(model)
            self._known[model] = entry
            if entry is not None:
                yield entry

    def _found(self) -> Sequence[Found]:
        if not self._is_file:
            return folder.look(self._path)
        try:
            return (folder.beside(self._path),)
        except OSError:  # it has gone away
            return ()

    def _read(self, found: Found) -> Entry | None:
        """What is to be known of a model; nothing if it is none."""
        packaged = self._packaged is not None and found.name == self._packaged.model
        template = self._template if found.name == self.first else ""
        try:
            if found.template is not None:
                template = _read_template(found.template.path)
            header = gguf.read(found.path)
            if not traits.is_model(header):
                return None
            known = traits.of(header, template=template, sees=found.projector is not None)
            digest = revision.of([file.path for file in found.files], template)
        except (gguf.Damaged, StartError) as error:
            problem = error.message
        except OSError as error:
            problem = f"The file cannot be read: {error.strerror}."
        else:
            return Entry(found.name, found, known, template, digest, is_packaged=packaged)
        log.warning("model_unusable", name=found.name, file=str(found.path), reason=problem)
        return Entry(found.name, found, problem=problem, is_packaged=packaged)


def _template_of(file: str) -> str:
    return _read_template(Path(file).expanduser().absolute()) if file else ""


def _read_template(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_TEMPLATE_BYTES + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise StartError(f"The chat template {path} cannot be read: {error}.") from error
    if len(text) > MAX_TEMPLATE_BYTES:
        raise StartError(f"The chat template {path} is larger than any template.")
    return text
