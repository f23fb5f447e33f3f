"""The journal's files: segments that are only ever appended to, each named by its first byte's position in the whole.

A position is one number for the whole journal, as in Apache Kafka's log. Appending hands bytes to the kernel, which
keeps them when this process is killed; syncing, which waits for the disk, keeps them in a power cut.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from hyperinfer.kernel.files import sync_folder
from hyperinfer.workers.gateway.journal.lines import MAX_LINE_BYTES, content_of

SUFFIX = ".log"
DAMAGED = ".damaged"
MAX_DAMAGED = 4
"""Damaged segments that are kept for somebody to look at."""


class Segments:
    """The segments of one folder. All methods raise `OSError`; `begin`, `append` and `unsynced` alone are for the event
    loop, as they do not wait for the disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._start = 0
        self._size = 0
        self._file: int | None = None
        self._ended: list[int] = []
        self._is_dirty = False
        self.is_torn = False

    @property
    def end(self) -> int:
        """The position after the last byte."""
        return self._start + self._size

    @property
    def current_bytes(self) -> int:
        """How large the segment that is being written is."""
        return self._size

    def open(self) -> Sequence[int]:
        """Make the folder, and find where its segments begin; what is written then goes after the last of them."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        starts = self.starts()
        if starts:
            self._start = starts[-1]
            self._size = max(1, self.path(starts[-1]).stat().st_size)  # one further, so that its name is not taken
        return starts

    def begin(self, head: Iterable[bytes]) -> None:
        """Go on in a new segment that begins with these lines; where that fails, the old one stays."""
        start, content = self.end, b"".join(head)
        path = self.path(start)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o600)
        try:
            _write(file, content)
        except OSError:
            os.close(file)
            path.unlink(missing_ok=True)
            raise
        if self._file is not None:
            self._ended.append(self._file)
        self._file, self._start, self._size = file, start, len(content)
        self._is_dirty, self.is_torn = True, False

    def append(self, lines: bytes) -> None:
        """Hand lines to the kernel. Where that fails midway the segment `is_torn`, and takes no more."""
        assert self._file is not None
        assert not self.is_torn
        try:
            _write(self._file, lines)
        except OSError:
            size = os.fstat(self._file).st_size
            self.is_torn, self._size = size != self._size, size
            raise
        self._size += len(lines)
        self._is_dirty = True

    def unsynced(self) -> tuple[int, ...]:
        """Files that `sync` has to see to, the last of them being the one that is written."""
        if not self._is_dirty or self._file is None:
            return ()
        self._is_dirty = False
        files = (*self._ended, self._file)
        self._ended.clear()
        return files

    def sync(self, files: Sequence[int]) -> None:
        """Wait until these are on the disk, and let go of those that have ended."""
        try:
            for file in files:
                os.fsync(file)
            sync_folder(self.folder)
        finally:
            for file in files[:-1]:
                os.close(file)

    def close(self) -> None:
        """Sync and let go of everything."""
        if self._file is None:
            return
        files = (*self._ended, self._file)
        self._ended, self._file = [], None
        try:
            self.sync(files)
        finally:
            os.close(files[-1])

    def drop_before(self, position: int) -> None:
        """Remove segments that end before a position, never the last."""
        starts = self.starts()
        for start, following in pairwise(starts):
            if following < position:
                self.path(start).unlink(missing_ok=True)

    def starts(self) -> list[int]:
        """Where each segment begins, in order."""
        found = (path.name.removesuffix(SUFFIX) for path in self.folder.glob(f"*{SUFFIX}"))
        return sorted(int(name) for name in found if name.isdecimal())

    def path(self, start: int) -> Path:
        """The file of the segment that begins here."""
        return self.folder / f"{start:020d}{SUFFIX}"

    def keep_damaged(self, start: int) -> Path:
        """Keep a damaged segment under another name beyond its own life; of many, the newest."""
        kept = self.path(start).with_suffix(DAMAGED)
        with suppress(FileExistsError):
            os.link(self.path(start), kept)
        for old in sorted(self.folder.glob(f"*{DAMAGED}"))[:-MAX_DAMAGED]:
            old.unlink(missing_ok=True)
        return kept


Found = tuple[int, bytes, bytes]
"""The position after a line, its kind (empty for what is no line), and its JSON text."""


def read(path: Path, *, start: int, position: int, end: int | None = None) -> Iterator[Found]:
    """The lines of a segment that begins at `start`, from `position` on, up to `end` or its own end. Raises `OSError`.

    What was torn off at the very end is left out: nobody was ever told that it had been written.
    """
    with path.open("rb") as file:
        file.seek(position - start)
        while end is None or position < end:
            line = file.readline(MAX_LINE_BYTES)
            if not line.endswith(b"\n") and len(line) < MAX_LINE_BYTES:
                return
            position += len(line)
            yield (position, *(content_of(line) or (b"", b"")))


def _write(file: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]
