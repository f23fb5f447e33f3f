"""What alerts remember over a restart: one small file, written whole when something has changed."""

import asyncio
from itertools import count
from pathlib import Path
from threading import Lock

import msgspec
import structlog

from hyperinfer.kernel.files import write_atomic
from hyperinfer.protocol.alerts import Book
from hyperinfer.workers.metrics.alerts.notifying.notice import Notice

FILE = "alerts.json"
VERSION = 1
OWNER_ONLY = 0o600

log = structlog.get_logger(__name__)


class Kept(msgspec.Struct, kw_only=True):
    """What is in the file. `waiting` are notices that a receiver, by name, has not taken yet."""

    version: int = VERSION
    book: Book = msgspec.field(default_factory=Book)
    waiting: dict[str, list[Notice]] = {}


class Store:
    """The file in a folder. What cannot be read is set aside, and said: nothing of it is needed to go on."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._writing = Lock()
        self._numbers = count(1)
        self._written = 0

    def load(self) -> Kept:
        """What was kept, or nothing."""
        try:
            kept = msgspec.json.decode(self._path.read_bytes(), type=Kept)
            if kept.version == VERSION:
                return kept
            reason = f"It is of version {kept.version}."
        except FileNotFoundError:
            return Kept()
        except (msgspec.MsgspecError, UnicodeDecodeError, OSError):
            reason = "It is damaged."
        aside = self._path.with_suffix(".damaged")
        self._path.replace(aside)
        log.warning("alerts_begun_anew", reason=reason, kept_as=str(aside))
        return Kept()

    async def save(self, kept: Kept) -> None:
        """Replace the file. A disk that is full costs the memory of a restart, never an alert."""
        try:
            await asyncio.to_thread(self._write, next(self._numbers), msgspec.json.encode(kept))
        except OSError as error:
            log.warning("alerts_not_kept", reason=f"{error.strerror}.", path=str(self._path))

    def _write(self, number: int, content: bytes) -> None:
        """Write, unless what is newer has been written: a save that is cancelled goes on in its thread, beside the next."""
        with self._writing:
            if number > self._written:
                write_atomic(self._path, content, mode=OWNER_ONLY)
                self._written = number
