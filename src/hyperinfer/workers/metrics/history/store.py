"""The history's file: SQLite, one table for each level. All of it is called in a thread, writing by one at a time.

It is not the SQL store of `facilities`: that one syncs what accounts must never lose, brings old tables up to date and speaks
PostgreSQL. Figures may be lost: a file that is broken, or of another version, is put aside and begun anew.
"""

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path

import structlog

from hyperinfer.contracts.metrics import Series
from hyperinfer.errors import Unavailable
from hyperinfer.workers.metrics.history import tables
from hyperinfer.workers.metrics.history.levels import Level, Plan
from hyperinfer.workers.metrics.history.rows import Row

log = structlog.get_logger(__name__)

FILE = "history.sqlite"
ASIDE = "history.damaged.sqlite"
VERSION = 2
BUSY_S = 5.0
READ_S = 10.0
STEPS_BETWEEN_LOOKS = 10_000
"""After so many steps of SQLite's machine a reader looks at the clock."""
BROKEN = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
SHORTER = (1.0, 0.75, 0.5, 0.25, 0.1, 0.01, 0.0)
"""Of what is to be kept, so much is, where the file would grow too large."""


class Store:
    """The file. What it holds is bounded: rows by their age, and all of it by size."""

    def __init__(
        self, folder: Path, levels: Sequence[Level], *, max_bytes: int, monotonic: Callable[[], float]
    ) -> None:
        self._path = folder / FILE
        self._levels = levels
        self._max_bytes = max_bytes
        self._monotonic = monotonic
        self._writing: sqlite3.Connection | None = None
        self._numbers: dict[tuple[str, str], int] = {}
        self._is_cut = False

    def open(self) -> None:
        """Open the file, or make it; one that is broken is put aside. Raises `Unavailable` where there can be none."""
        with _told():
            try:
                self._writing = self._opened()
            except sqlite3.DatabaseError as error:
                if not _is_broken(error):
                    raise
                self._begin_anew(str(error))

    def close(self) -> None:
        """Close the file."""
        if self._writing is not None:
            self._writing.close()
            self._writing = None

    @property
    def is_open(self) -> bool:
        """Whether there is a file."""
        return self._writing is not None

    def write(self, rows: Iterable[Row], now: int) -> None:
        """Write what was collected, and the means of the steps that are over; where the file has no room for that, what is old goes
        first. Raises `Unavailable`; nothing is written then."""
        rows = tuple(rows)
        try:
            self._add(rows, now)
        except Unavailable as error:
            if not _is_full(error.__cause__):
                raise
            self.forget(now)
            self._add(rows, now)

    def _add(self, rows: Sequence[Row], now: int) -> None:
        with self._writer() as connection, connection:
            tables.add(connection, self._levels[0], [(self._number(connection, row), row) for row in rows])
            for finer, coarser in pairwise(self._levels):
                tables.sum_up(connection, finer, coarser, now)

    def forget(self, now: int) -> None:
        """Throw away what is too old, and what there is no room for. Raises `Unavailable`."""
        part = SHORTER[0]
        with self._writer() as connection:
            for part in SHORTER:
                with connection:
                    for level in self._levels:
                        before = now - int(level.kept_s * part)
                        tables.delete(connection, level, before=before, after=now + tables.AHEAD_S)
                    tables.delete_series(connection, self._levels)
                if tables.used_bytes(connection) <= self._max_bytes:
                    break
            self._numbers = {}
        if part < 1 and not self._is_cut:
            log.warning("history_cut", part=part, setting="history.max_bytes")
        self._is_cut = part < 1

    def series(self, worker: str | None, model: str) -> int:
        """How many workers have such rows. Raises `Unavailable`."""
        with self._reading() as connection:
            return tables.count(connection, worker, model)

    def read(self, plan: Plan, figures: Sequence[str], worker: str | None, model: str) -> list[Series]:
        """For each figure and worker its means over each step. Raises `Unavailable`."""
        with self._reading() as connection:
            found = tables.means(connection, plan, figures, worker, model)
        values: dict[tuple[str, str], list[float | None]] = {}
        for key, step, row in found:
            for figure, value in zip(figures, row, strict=True):
                values.setdefault((figure, key), [None] * plan.steps)[step] = value
        return [
            Series(figure=figure, worker=key, model=model, values=tuple(row))
            for (figure, key), row in sorted(values.items())
        ]

    # --- the file -------------------------------------------------------------------------------------------------

    def _opened(self) -> sqlite3.Connection:
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(self._path, timeout=BUSY_S, check_same_thread=False)
        try:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, VERSION):
                raise _broken(f"it is of version {version}")
            if (found := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
                raise _broken(found)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")  # a power cut may cost the last rows, and nothing else
            page_bytes = connection.execute("PRAGMA page_size").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {2 * self._max_bytes // page_bytes}")
            with connection:
                tables.make(connection, self._levels)
                connection.execute(f"PRAGMA user_version = {VERSION}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _begin_anew(self, reason: str) -> None:
        self.close()
        log.warning("history_put_aside", file=ASIDE, reason=reason)
        self._path.replace(self._path.with_name(ASIDE))
        for more in ("-wal", "-shm"):
            self._path.with_name(FILE + more).unlink(missing_ok=True)
        self._writing = self._opened()

    @contextmanager
    def _writer(self) -> Iterator[sqlite3.Connection]:
        """The connection that writes. A file that turns out to be broken is put aside, and the next writing finds a new one."""
        with _told():
            if self._writing is None:
                self.open()
            assert self._writing is not None  # or it would have been told
            try:
                yield self._writing
            except sqlite3.DatabaseError as error:
                self._numbers = {}
                if _is_broken(error):
                    self._begin_anew(str(error))
                raise

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """A connection of a reader's own, which may take its time, and no more."""
        until = self._monotonic() + READ_S
        with (
            _told(),
            closing(sqlite3.connect(f"{self._path.as_uri()}?mode=ro", timeout=BUSY_S, uri=True)) as connection,
        ):
            connection.set_progress_handler(lambda: self._monotonic() > until, STEPS_BETWEEN_LOOKS)
            yield connection

    def _number(self, connection: sqlite3.Connection, row: Row) -> int:
        name = (row.worker, row.model)
        if name not in self._numbers:
            self._numbers[name] = tables.number_of(connection, row.worker, row.model)
        return self._numbers[name]


@contextmanager
def _told() -> Iterator[None]:
    """Whatever goes wrong with the file is told in one way."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
            raise Unavailable("This takes too long to look up; ask for less.") from error
        raise Unavailable(f"The history cannot be used now: {error}.") from error
    except (sqlite3.Error, OSError) as error:
        raise Unavailable(f"The history cannot be used now: {error}.") from error


def _broken(reason: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(reason)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def _is_full(error: BaseException | None) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL


def _is_broken(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in BROKEN
