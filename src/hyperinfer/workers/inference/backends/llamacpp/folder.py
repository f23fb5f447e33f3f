"""The models in a folder: which files there are models, what belongs to each, and what each is called."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

MAX_FILES = 4096
MAX_DEPTH = 4
"""How deep below the folder a file may be: a hub's names have two parts."""
PIECE = re.compile(r"^(?P<stem>.+)-(?P<number>\d{5})-of-(?P<of>\d{5})$")
PROJECTOR = re.compile(r"(^|[._-])mmproj([._-]|$)", re.IGNORECASE)
PRECISION = re.compile(r"[._-]?(f16|bf16|f32|q8_0)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class File:
    """A file, and what tells whether it is still the same."""

    path: Path
    size_bytes: int
    changed_ns: int

    @classmethod
    def at(cls, path: Path) -> "File":
        """The file as it is now. Raises `OSError`."""
        stat = path.stat()
        return cls(path, stat.st_size, stat.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class Found:
    """A model: its file, or the first one of several pieces, and what lies beside it for it."""

    name: str
    files: tuple[File, ...]
    template: File | None = None
    projector: File | None = None

    @property
    def path(self) -> Path:
        """What the engine is told to load."""
        return self.files[0].path

    @property
    def size_bytes(self) -> int:
        """All of it."""
        return sum(file.size_bytes for file in self.files) + (self.projector.size_bytes if self.projector else 0)


def public_name(stem: str) -> str:
    """What to call the model in a file of this name: in lower case, odd characters as dashes."""
    return re.sub(r"[^a-z0-9._-]+", "-", stem.lower()).strip("-") or "model"


def look(root: Path) -> tuple[Found, ...]:
    """The models in a folder, and in those below it, by name; none if there is no such folder."""
    return models(_files(root, MAX_DEPTH))


def beside(path: Path) -> Found:
    """One model's file with what belongs to it. Raises `OSError` if it is not there."""
    own = File.at(path)
    there = [own, *(file for file in _files(path.parent, 1) if file.path != path)]
    for found in models(there):
        if path in [file.path for file in found.files]:
            return found
    return Found(public_name(path.stem), (own,))


def models(files: Iterable[File]) -> tuple[Found, ...]:
    """Which of these files are models, complete in all their pieces; of two with one name the first path counts."""
    folders: dict[Path, list[File]] = defaultdict(list)
    for file in files:
        folders[file.path.parent].append(file)
    found: dict[str, Found] = {}
    for _, there in sorted(folders.items()):
        for model in _in_one_folder(sorted(there, key=lambda file: file.path)):
            found.setdefault(model.name, model)
    return tuple(found[name] for name in sorted(found))


def _in_one_folder(files: Sequence[File]) -> Iterator[Found]:
    weights: dict[str, list[File]] = defaultdict(list)
    projectors = []
    templates = {file.path.stem: file for file in files if file.path.suffix == ".jinja"}
    for file in files:
        if file.path.suffix.lower() != ".gguf":
            continue
        if PROJECTOR.search(file.path.stem):
            projectors.append(file)
        else:
            piece = PIECE.match(file.path.stem)
            weights[piece["stem"] if piece else file.path.stem].append(file)
    whole = {stem: pieces for stem, pieces in weights.items() if _is_whole(pieces)}
    for stem, pieces in whole.items():
        projector = _projector(stem, projectors, alone=len(whole) == 1)
        yield Found(public_name(stem), tuple(pieces), templates.get(stem), projector)


def _is_whole(pieces: Sequence[File]) -> bool:
    numbers = [match for file in pieces if (match := PIECE.match(file.path.stem))]
    if not numbers:
        return True
    return [int(match["number"]) for match in numbers] == list(range(1, int(numbers[0]["of"]) + 1))


def _projector(stem: str, projectors: Sequence[File], *, alone: bool) -> File | None:
    """The one made for this model: it has the model's name, or the beginning of it, or there is no other model."""
    for file in projectors:
        base = PRECISION.sub("", PROJECTOR.sub("", file.path.stem)).strip("._-").lower()
        if (base and stem.lower().startswith(base)) or (alone and len(projectors) == 1):
            return file
    return None


def _files(root: Path, depth: int) -> Iterator[File]:
    """Files and what they are now; what goes away meanwhile is passed over, as is what cannot be read."""
    left = MAX_FILES
    folders = [(root, depth)]
    while folders:
        folder, depth = folders.pop()
        try:
            paths = sorted(folder.iterdir())
        except OSError:
            continue
        for path in paths:
            left -= 1
            if left < 0:
                return
            if path.name.startswith("."):  # where downloads keep what is not done yet
                continue
            try:
                if path.is_dir():
                    if depth > 1:
                        folders.append((path, depth - 1))
                elif path.suffix.lower() in {".gguf", ".jinja"}:
                    yield File.at(path)
            except OSError:
                continue
