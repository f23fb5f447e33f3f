"""A file on its way: what has come of it, its hash so far, and the name that it gets once it is right."""

import hashlib
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from hyperinfer.kernel.files import sync_folder

READ_BYTES = 1024 * 1024
HEAD_BYTES = 16


class Part:
    """The beginning of a file, opened where an earlier try has left it; `head` are its first bytes.

    Use it as a context manager.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size_bytes = 0
        self.head = b""
        self._hash = hashlib.sha256()

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.touch()
        self._file = self.path.open("r+b", buffering=0)  # what has come is there then, however this process ends
        while piece := self._file.read(READ_BYTES):
            self._take(piece)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, piece: bytes) -> None:
        """Add what has come. Raises `OSError`."""
        view = memoryview(piece)
        while view:  # an unbuffered write may be a partial one
            count = self._file.write(view) or 0
            self._take(view[:count])
            view = view[count:]

    def empty(self) -> None:
        """Begin anew."""
        self._file.seek(0)
        self._file.truncate()
        self.size_bytes = 0
        self.head = b""
        self._hash = hashlib.sha256()

    def begins_with(self, start: bytes) -> bool:
        """Whether the file begins so, as far as it has come."""
        return self.head.startswith(start[: self.size_bytes])

    @property
    def sha256(self) -> str:
        """The hash of what has come."""
        return self._hash.hexdigest()

    def discard(self) -> None:
        """Remove it."""
        self.path.unlink(missing_ok=True)

    def name(self, target: Path) -> None:
        """Give it its name, synced before; what was called so is replaced."""
        os.fsync(self._file.fileno())
        self.path.replace(target)
        sync_folder(target.parent)

    def _take(self, piece: bytes | memoryview) -> None:
        self._hash.update(piece)
        if len(self.head) < HEAD_BYTES:
            self.head += bytes(piece[: HEAD_BYTES - len(self.head)])
        self.size_bytes += len(piece)


def sha256_of(path: Path) -> str:
    """The hash of a whole file. Raises `OSError`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
