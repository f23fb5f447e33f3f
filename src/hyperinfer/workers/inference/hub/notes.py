"""What is written down of a file beside it, in a hidden folder that workers pass over: where it comes from, and what it must be."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from hyperinfer.kernel.files import write_atomic

FOLDER = ".pull"
DEPTH = 3
"""How deep the notes of a repository's folder lie: its name has two parts."""
MAX_NOTES = 4096


class Note(msgspec.Struct, frozen=True):
    """A file of a hub: where it is from, and which it is. `model` is what workers call the model that it belongs to, of
    `model_bytes` in all."""

    repo: str
    path: str
    commit: str
    sha256: str
    size_bytes: int
    model: str
    model_bytes: int


@dataclass(frozen=True, slots=True)
class Place:
    """A file of the models' folder, and what goes with it while it comes and afterwards."""

    target: Path

    @property
    def part(self) -> Path:
        """What has come of it."""
        return self._beside(".part")

    @property
    def lock(self) -> Path:
        """Held by whoever fetches it."""
        return self._beside(".lock")

    @property
    def wanted(self) -> Path:
        """The note of what is being fetched."""
        return self._beside(".wanted.json")

    @property
    def had(self) -> Path:
        """The note of what was fetched."""
        return self._beside(".json")

    @property
    def come_bytes(self) -> int:
        """How much of what is being fetched is there."""
        with suppress(OSError):
            return self.part.stat().st_size
        return 0

    def want(self, note: Note) -> None:
        """Note what is fetched now; the part of anything else is of no use."""
        if read(self.wanted) != note:
            if (before := read(self.wanted)) is None or before.sha256 != note.sha256:
                self.part.unlink(missing_ok=True)
            write_atomic(self.wanted, msgspec.json.encode(note))

    def have(self, note: Note) -> None:
        """Note that the file is there, whole."""
        write_atomic(self.had, msgspec.json.encode(note))
        self.wanted.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the file and all that goes with it, but for the lock."""
        for path in (self.target, self.part, self.wanted, self.had):
            path.unlink(missing_ok=True)

    def _beside(self, ending: str) -> Path:
        return self.target.parent / FOLDER / (self.target.name + ending)


def read(path: Path) -> Note | None:
    """A note; nothing where there is none that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Note)
    except (OSError, msgspec.DecodeError):
        return None


def places(root: Path) -> Iterator[Place]:
    """Every file below a folder of which there is a note."""
    left = MAX_NOTES
    for depth in range(DEPTH):
        for note in sorted(root.glob("*/" * depth + f"{FOLDER}/*.json")):
            left -= 1
            if left < 0:
                return
            name = note.name.removesuffix(".json").removesuffix(".wanted")
            yield Place(note.parent.parent / name)
