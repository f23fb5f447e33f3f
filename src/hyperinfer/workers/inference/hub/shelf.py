"""What the models' folder holds: models that workers can run, those that are on their way, and how to remove one."""

from collections import defaultdict
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from hyperinfer.errors import BadRequest, Conflict, NotFound, Unavailable
from hyperinfer.workers.inference.backends.llamacpp.folder import look
from hyperinfer.workers.inference.hub.notes import FOLDER, Place, places, read


@dataclass(slots=True)
class Kept:
    """A model of the folder. `size_bytes` is what is there of it, `whole_bytes` what there will be; `source` is the
    repository that it was pulled from, if it was."""

    name: str
    size_bytes: int = 0
    whole_bytes: int = 0
    source: str = ""
    files: list[Path] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether workers can run it."""
        return self.size_bytes >= self.whole_bytes


def kept(root: Path) -> list[Kept]:
    """Every model, by name."""
    found: dict[str, Kept] = {}
    for one in look(root):
        files = [file.path for file in one.files] + ([one.projector.path] if one.projector else [])
        found[one.name] = Kept(one.name, one.size_bytes, one.size_bytes, files=files)
    in_use = {path: model for model in found.values() for path in model.files}
    coming: dict[str, list[Place]] = defaultdict(list)
    for place in places(root):
        if note := read(place.wanted):
            coming[note.model].append(place)
        elif (note := read(place.had)) and place.target in in_use:
            in_use[place.target].source = note.repo
        elif note and place.target.is_file():  # a piece of a model of which others are missing
            model = found.setdefault(note.model, Kept(note.model))
            model.source = note.repo
            model.files.append(place.target)
            model.size_bytes += note.size_bytes
            model.whole_bytes = max(model.whole_bytes, note.model_bytes)
    for name, on_their_way in coming.items():
        model = found.setdefault(name, Kept(name))
        for place in on_their_way:
            if note := read(place.wanted):
                model.source = note.repo
                model.size_bytes += place.come_bytes
                model.whole_bytes = max(model.whole_bytes, note.model_bytes)
                model.files.append(place.target)
    return sorted(found.values(), key=lambda model: model.name)


def remove(root: Path, name: str) -> Kept:
    """Remove a model, with its other pieces and what has come of them; what another model needs as well stays.

    Raises `NotFound`, `BadRequest` for what is not in the folder, `Conflict` while it is being pulled, `Unavailable`
    where the disk does not let us.
    """
    model = find(root, name)
    needed = {path for other in kept(root) if other.name != model.name for path in other.files}
    going = [Place(path) for path in model.files if path not in needed]
    for place in going:
        if not place.target.resolve().is_relative_to(root.resolve()):
            raise BadRequest(
                f"{place.target} is a link to {place.target.resolve()}, outside {root}. Remove it yourself."
            )
    with ExitStack() as locks:
        for place in going:
            if place.lock.exists():
                _hold(place, locks)
        try:
            for place in going:
                place.remove()
        except OSError as error:
            raise Unavailable(f"Cannot remove all of {model.name}: {error.strerror} ({error.filename}).") from error
    for place in going:
        _tidy(place.target.parent, root)
    return model


def find(root: Path, name: str) -> Kept:
    """A model by its name, or by that of a file of it. Raises `NotFound`, or `BadRequest` for what is a path."""
    if "/" in name or "\\" in name:
        raise BadRequest(f"Name a model as `hyperinfer models local` lists it. Only what is in {root} can be removed.")
    for model in kept(root):
        if name == model.name or name in [path.name for path in model.files]:
            return model
    raise NotFound(f"There is no model {name} in {root}. `hyperinfer models local` lists those that are.")


def _hold(place: Place, locks: ExitStack) -> None:
    lock = FileLock(place.lock)
    try:
        locks.enter_context(lock.acquire(timeout=0))
    except Timeout as error:
        raise Conflict(f"{place.target.name} is being pulled now. Stop that first.") from error


def _tidy(folder: Path, root: Path) -> None:
    """Remove folders that hold nothing any more, but never the models' folder itself."""
    with suppress(OSError):
        if not any(folder.glob(f"{FOLDER}/*.json")) and not any(folder.glob(f"{FOLDER}/*.part")):
            for lock in folder.glob(f"{FOLDER}/*.lock"):
                lock.unlink()
            (folder / FOLDER).rmdir()
    while folder != root and folder.is_relative_to(root):
        try:
            folder.rmdir()
        except OSError:  # it holds something else
            return
        folder = folder.parent
