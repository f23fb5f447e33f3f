"""Logs of this machine as they grow: read from the files, whoever writes them and whether or not anybody does."""

import os
from collections.abc import Iterable
from io import BufferedReader
from pathlib import Path

from hyperinfer.facilities.log.matching import Matching
from hyperinfer.facilities.log.reading import EVENTS

MAX_READ_BYTES = 4 * 1024 * 1024
"""Read from a file at a time; the rest comes with the next look."""


class Growing:
    """One log from where it ends now, or from its beginning. A file that was moved away is read to its end, then the new one."""

    def __init__(self, folder: Path, *, from_the_beginning: bool = False) -> None:
        self._path = folder / EVENTS
        self._rest = b""
        self._file = self._opened()
        if self._file is not None and not from_the_beginning:
            self._file.seek(0, os.SEEK_END)

    def close(self) -> None:
        """Read no more."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def lines(self, wanted: Matching) -> list[bytes]:
        """The lines that have come since the last look and are wanted."""
        found = self._read()
        if self._was_moved():
            found += self._read()
            self.close()
            self._rest = b""
            self._file = self._opened()
            found += self._read()
        return [line for line in found if wanted.line(line)]

    def _read(self) -> list[bytes]:
        if self._file is None:
            return []
        *lines, self._rest = (self._rest + self._file.read(MAX_READ_BYTES)).split(b"\n")
        return lines

    def _opened(self) -> BufferedReader | None:
        try:
            return self._path.open("rb")
        except OSError:
            return None

    def _was_moved(self) -> bool:
        try:
            there = self._path.stat()
        except OSError:
            return False
        if self._file is None:
            return True
        ours = os.fstat(self._file.fileno())
        return (there.st_ino, there.st_dev) != (ours.st_ino, ours.st_dev)


def folders(places: Iterable[Path]) -> list[Path]:
    """Folders that hold a log: these themselves, and those of single workers in them."""
    found = {
        each.parent for place in places if place.is_dir() for each in (*place.glob(EVENTS), *place.glob(f"*/{EVENTS}"))
    }
    return sorted(found)
