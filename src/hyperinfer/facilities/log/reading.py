"""Reading a log's files backwards: the newest lines that are wanted, within a bound of time and size."""

import time
from collections.abc import Iterator
from pathlib import Path

from hyperinfer.facilities.log.files import files_of
from hyperinfer.facilities.log.matching import Matching

BLOCK_BYTES = 256 * 1024
MAX_BYTES = 1024 * 1024
"""Of lines that are found: more are not looked for."""
MAX_LINE_BYTES = 64 * 1024
READ_S = 5.0

EVENTS = "event.log"


def newest(folder: Path, wanted: Matching, *, limit: int, read_s: float = READ_S) -> list[bytes]:
    """The newest lines of a folder's log that are wanted, oldest first, without their ends. Blocks, for `read_s` at most.

    What cannot be read, or goes while it is read, is left out.
    """
    ends_at, size, found = time.monotonic() + read_s, 0, list[bytes]()
    for path in files_of(folder / EVENTS):
        for line in _backwards(path):
            if wanted.is_before(line) or time.monotonic() > ends_at:
                return found[::-1]
            if wanted.line(line):
                size += len(line)
                if size > MAX_BYTES:
                    return found[::-1]
                found.append(line)
                if len(found) >= limit:
                    return found[::-1]
    return found[::-1]


def _backwards(path: Path) -> Iterator[bytes]:
    """A file's lines, the last one first; a line that is longer than any of ours comes in pieces that are none."""
    try:
        with path.open("rb") as file:
            at, rest = file.seek(0, 2), b""
            while at > 0:
                start = max(0, at - BLOCK_BYTES)
                file.seek(start)
                first, *lines = (file.read(at - start) + rest).split(b"\n")
                yield from (line for line in reversed(lines) if line)
                at, rest = start, first[-MAX_LINE_BYTES:]
            if rest:
                yield rest
    except OSError:
        return
