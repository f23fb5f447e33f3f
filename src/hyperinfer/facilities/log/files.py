"""A log file of bounded size, which several processes may write: whole lines are appended, and one at a time makes room."""

import os
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

FILE_BYTES = 10 * 1024 * 1024
FILES_KEPT = 4
"""Beside the one that is written: a log takes 50 MB at most."""
LOCK_S = 0.5
"""How long making room may wait for another process that does the same."""


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it that there are not, for their owner alone. Raises `OSError`."""
    for each in (*reversed(folder.parents), folder):
        if not each.exists():
            each.mkdir(mode=0o700, exist_ok=True)
    if not folder.is_dir():
        raise NotADirectoryError(20, "Not a directory")


def files_of(path: Path) -> list[Path]:
    """A log's files, the newest first; those that there are."""
    older = (path.with_name(f"{path.name}.{number}") for number in range(1, FILES_KEPT + 1))
    return [each for each in (path, *older) if each.is_file()]


class RotatedFile:
    """Appends to `path`; full, it becomes `path.1`, and that `path.2`. Not for several threads at once. Methods raise `OSError`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = -1
        self._torn = False
        self._open()

    def write(self, lines: bytes) -> None:
        """Append lines, each with its end."""
        self._look(len(lines))
        if self._torn:
            lines = b"\n" + lines
        written = os.write(self._fd, lines)
        self._torn = written < len(lines)
        if self._torn:
            raise OSError(28, "No space left on device")

    def close(self) -> None:
        """Write no more."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
        self._fd = os.open(self.path, flags, 0o600)
        with suppress(PermissionError):  # it may be of a time when it was made otherwise, or not ours to change
            self.path.chmod(0o600)

    def _look(self, more_bytes: int) -> None:
        """Have the right file open, with room in it: another process, or an administrator, may have moved it away."""
        if self._fd < 0 or self._is_another():
            self.close()
            self._open()
        if os.fstat(self._fd).st_size + more_bytes > FILE_BYTES:
            self._make_room(more_bytes)

    def _is_another(self) -> bool:
        try:
            there, ours = self.path.stat(), os.fstat(self._fd)
        except FileNotFoundError:
            return True
        return (there.st_ino, there.st_dev) != (ours.st_ino, ours.st_dev)

    def _make_room(self, more_bytes: int) -> None:
        try:
            with FileLock(self.path.with_name(".rotation"), timeout=LOCK_S, mode=0o600):
                self.close()
                size = self.path.stat().st_size if self.path.exists() else 0
                if size and size + more_bytes > FILE_BYTES:  # nobody else has done it meanwhile
                    self._move()
        except Timeout:
            pass  # whoever holds the lock makes room; this line goes into the file as it is
        finally:
            if self._fd < 0:
                self._open()

    def _move(self) -> None:
        for number in range(FILES_KEPT, 0, -1):
            older = self.path.with_name(f"{self.path.name}.{number}")
            newer = self.path.with_name(f"{self.path.name}.{number - 1}") if number > 1 else self.path
            if newer.exists():
                newer.replace(older)
