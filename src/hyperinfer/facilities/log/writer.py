"""Who writes the log of this process: one object for all its workers, so that lines stay whole and in their order.

What is logged in words is written at once. Calls, of which there may be thousands a second, wait for each other: at most half a
second, or until there are as many as make a good piece to write.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import msgspec

from hyperinfer.facilities.log.calls import Ended, timestamp
from hyperinfer.facilities.log.files import RotatedFile
from hyperinfer.facilities.log.tail import Tail, Wants

FLUSH_S = 0.5
BATCH_LINES = 256
"""About 64 KB."""
MAX_WAITING = 20_000
"""Calls that wait to be written; with more, the disk does not keep up, and they are dropped and counted."""

RANKS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}

Event = Mapping[str, Any]
Line = tuple[int, Event, bytes]
"""How grave it is, what it says, and the same as JSON with its end."""

_encoder = msgspec.json.Encoder(enc_hook=str)


def encode(event: Event) -> bytes:
    """An event as a line of JSON."""
    return _encoder.encode(event) + b"\n"


class Outlet(Protocol):
    """Where lines go. Raises `OSError`."""

    def put(self, lines: Sequence[Line]) -> None:
        """Write those that are grave enough."""

    def close(self) -> None:
        """Write no more."""


class FileOutlet:
    """Lines from a level on, into a file of bounded size."""

    def __init__(self, file: RotatedFile, *, level: str) -> None:
        self._file = file
        self._rank = RANKS[level]

    def put(self, lines: Sequence[Line]) -> None:
        """Append them."""
        if found := b"".join([line for rank, _, line in lines if rank >= self._rank]):
            self._file.write(found)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Writer:
    """Writes lines from `level` on to its outlets. A full disk costs lines, which are counted, and nothing else."""

    def __init__(self, outlets: Sequence[Outlet], *, level: str) -> None:
        self._outlets = outlets
        self._rank = RANKS[level]
        self._lock = threading.RLock()
        self._waiting: deque[Ended] = deque()
        self._some = threading.Event()
        self._many = threading.Event()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._tails: tuple[Tail, ...] = ()
        self._workers: list[str] = []
        self.dropped = 0
        self._told_dropped = 0

    # --- from anywhere ------------------------------------------------------------------------------------

    def write(self, event: Event) -> None:
        """Write an event at once, after the calls that wait. Never raises."""
        rank = RANKS.get(str(event.get("level")), RANKS["info"])
        if rank < self._rank:
            return
        self._pass_on(event)
        with self._lock:
            self._put([*self._taken(), (rank, event, encode(event))])

    def tell(self, ended: Ended) -> None:
        """Write down soon that a call has ended. Never waits, never raises."""
        if self._rank > RANKS["info"] and RANKS[ended.level] < self._rank:
            return
        if self._tails:
            self._pass_on(ended.event())
        if len(self._waiting) >= MAX_WAITING:
            self.dropped += 1
            return
        self._waiting.append(ended)
        if not self._some.is_set():
            self._begin()
        if len(self._waiting) >= BATCH_LINES and not self._many.is_set():
            self._many.set()

    def flush(self) -> None:
        """Write what waits."""
        with self._lock:
            self._put(self._taken())

    def close(self) -> None:
        """Write what waits, and nothing more."""
        self._closed = True
        self._many.set()
        self._some.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=2 * FLUSH_S)
        with self._lock:
            self._put(self._taken())
            for outlet in self._outlets:
                outlet.close()
            self._outlets = ()

    # --- whose lines they are, and who watches ---------------------------------------------------------------

    @contextmanager
    def joined(self, worker: str) -> Iterator[None]:
        """A worker of this process logs here for the length of the block."""
        self._workers.append(worker)
        try:
            yield
        finally:
            self._workers.remove(worker)

    def owner(self, worker: str) -> Callable[[str], bool]:
        """Whether a line with this label is for a worker to show: its own are, and for the first of a process all that
        nobody else's are, so that of several workers with one log each line is shown by one."""

        def owns(label: str) -> bool:
            if label == worker:
                return True
            return self._workers[:1] == [worker] and label not in self._workers

        return owns

    @contextmanager
    def watched(self, wants: Wants) -> Iterator[Tail]:
        """Lines as they are written from now on; what was before is in the files."""
        tail = Tail(wants, encode)
        with self._lock:
            self._put(self._taken())
            self._tails = (*self._tails, tail)
        try:
            yield tail
        finally:
            with self._lock:
                self._tails = tuple(each for each in self._tails if each is not tail)

    # --- at work ----------------------------------------------------------------------------------------------

    def _pass_on(self, event: Event) -> None:
        for tail in self._tails:
            tail.take(event)

    def _begin(self) -> None:
        self._some.set()
        if self._thread is None and not self._closed:
            self._thread = threading.Thread(target=self._run, name="hyperinfer log", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while not self._closed:
            self._some.wait()
            self._many.wait(FLUSH_S)
            self._many.clear()
            self._some.clear()  # before looking: what comes from here on sets it again
            self.flush()

    def _taken(self) -> list[Line]:
        ended = [self._waiting.popleft() for _ in range(len(self._waiting))]
        found: list[Line] = []
        for each in ended:
            event = each.event()
            found.append((RANKS[each.level], event, encode(event)))
        return found

    def _put(self, lines: list[Line]) -> None:
        missed = self.dropped - self._told_dropped
        if missed and self._outlets and lines:
            event = {"timestamp": timestamp(time.time()), "level": "warning", "event": "lines_dropped", "count": missed}
            if self._put_piece([(RANKS["warning"], event, encode(event))]):
                self._told_dropped += missed
        for start in range(0, len(lines), BATCH_LINES):
            piece = lines[start : start + BATCH_LINES]
            if not self._put_piece(piece):
                self.dropped += len(piece)

    def _put_piece(self, lines: Sequence[Line]) -> bool:
        """Give lines to every outlet; says whether the files have taken them."""
        is_kept = True
        for outlet in self._outlets:
            try:
                outlet.put(lines)
            except (OSError, ValueError):  # full, away, or a stream that somebody has closed
                is_kept = is_kept and not isinstance(outlet, FileOutlet)
        return is_kept
