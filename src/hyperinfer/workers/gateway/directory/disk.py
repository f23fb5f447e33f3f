"""The copy of the directory on the disk: SQLite, so that a gateway that starts while auth is away knows everybody."""

import sqlite3
from contextlib import suppress
from pathlib import Path

import msgspec
import structlog

from hyperinfer.contracts.directory import Change, Changes

FILE = "directory.sqlite"
SUFFIXES = ("", "-wal", "-shm")

log = structlog.get_logger(__name__)


class DirectoryFile:
    """What is kept of the directory. Its methods block for milliseconds: they are called in a thread.

    Once a page could not be written, what is kept has a gap: it is still good to start from, but no longer says how far
    it goes, so that everything is fetched anew.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = self._opened()
        self._has_gap = False

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def load(self) -> tuple[Changes | None, float]:
        """All that is kept, and when auth was last heard of (seconds since the epoch); nothing if it is empty."""
        row = self._connection.execute("SELECT directory, seq, heard_at FROM head").fetchone()
        if row is None:
            return None, 0.0
        directory, seq, heard_at = row
        kept = self._connection.execute("SELECT seq, kind, id, record FROM records").fetchall()
        changes = tuple(
            Change(seq=one, kind=kind, id=id_, record=msgspec.Raw(record)) for one, kind, id_, record in kept
        )
        return Changes(directory=directory, seq=seq, changes=changes, is_whole=True), heard_at

    def save(self, page: Changes, *, heard_at: float) -> None:
        """Take in a page, wholly or not at all. Raises `sqlite3.Error`."""
        try:
            self._save(page, heard_at)
        except sqlite3.Error:
            self._has_gap = True
            raise
        if page.is_whole:
            self._has_gap = False

    def _save(self, page: Changes, heard_at: float) -> None:
        directory = "" if self._has_gap and not page.is_whole else page.directory
        with self._connection as connection:
            if page.is_whole:
                connection.execute("DELETE FROM records")
            for change in page.changes:
                if change.is_gone:
                    connection.execute("DELETE FROM records WHERE kind = ? AND id = ?", (change.kind, change.id))
                else:
                    connection.execute(
                        "INSERT OR REPLACE INTO records (kind, id, seq, record) VALUES (?, ?, ?, ?)",
                        (change.kind, change.id, change.seq, bytes(change.record)),
                    )
            connection.execute(
                "INSERT OR REPLACE INTO head (one, directory, seq, heard_at) VALUES (1, ?, ?, ?)",
                (directory, page.seq if directory else 0, heard_at),
            )

    def _opened(self) -> sqlite3.Connection:
        self._path.touch(mode=0o600)
        try:
            return _connect(self._path)
        except sqlite3.DatabaseError as error:
            # It is a copy: nothing is lost with it but the time until auth has told everything again.
            log.error("directory_copy_damaged", path=str(self._path), error=error, consequence="fetched anew")
            for suffix in SUFFIXES:
                with suppress(FileNotFoundError):
                    Path(f"{self._path}{suffix}").rename(f"{self._path}.damaged{suffix}")
            self._path.touch(mode=0o600)
            return _connect(self._path)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False, timeout=5.0)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS records (kind TEXT, id TEXT, seq INTEGER, record BLOB, PRIMARY KEY (kind, id))"
        )
        connection.execute(
            "CREATE TABLE IF NOT EXISTS head (one INTEGER PRIMARY KEY, directory TEXT, seq INTEGER, heard_at REAL)"
        )
        connection.execute("PRAGMA quick_check").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection
