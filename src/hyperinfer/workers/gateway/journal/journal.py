"""The journal of usage: every request is reserved before it is forwarded, and settled before its answer is whole.

What has been written is in the kernel's hands, and so outlives this process; within a second it is on the disk.
"""

import asyncio
import errno
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec
import structlog

from hyperinfer.contracts.usage import UsageRecord
from hyperinfer.errors import StartError, Unavailable
from hyperinfer.facilities.clock import Clock
from hyperinfer.workers.gateway.journal import lines
from hyperinfer.workers.gateway.journal.config import JournalSettings
from hyperinfer.workers.gateway.journal.entry import Course, Entry, Reserved
from hyperinfer.workers.gateway.journal.lines import MAX_ITEMS, TokenWindow, line_of
from hyperinfer.workers.gateway.journal.replay import Replay, noted
from hyperinfer.workers.gateway.journal.segments import Segments, read

FOLDER = "journal"
NOTE_EVERY_S = 0.1
SYNC_EVERY_S = 0.5
SEGMENT_BYTES = 8 * 1024 * 1024
"""A segment is ended once it is this long, or four times as long as what it began with if that is more."""
WARN_FROM = 0.8
"""How full the journal is when somebody is told."""
RETRY_AFTER_S = 5

SAY_AGAIN_S = 60.0
"""How long one fault is said once only."""

log = structlog.get_logger(__name__)

Item = TypeVar("Item")


class Journal:
    """The journal in one folder. `cut` are the requests of the last run that were never settled: they are now.

    `begin`, `keep` and an entry's `settle` take microseconds and wait for no disk.
    """

    def __init__(self, folder: Path, *, clock: Clock, settings: JournalSettings) -> None:
        self._segments = Segments(folder)
        self._clock = clock
        self._most = settings.max_undelivered
        self._open: dict[str, Entry] = {}
        self._windows: dict[tuple[str, str], TokenWindow] = {}
        self._unwritten: deque[bytes] = deque()
        self._head_bytes = 0
        self._waiting = 0
        self._delivered = 0
        self._fault = ""
        self._said_at = -SAY_AGAIN_S
        self._is_nearly_full = False
        self._settled = asyncio.Event()
        self.cut: tuple[UsageRecord, ...] = ()

    # --- requests -------------------------------------------------------------------------------------------

    def begin(self, reserved: Reserved, course: Course) -> Entry:
        """Reserve a request's place. Raises `Unavailable` where it could not be accounted: nothing is written then."""
        if self._is_full:
            raise Unavailable(
                "Too much usage waits to be accounted for; no more requests are taken until it is.",
                retry_after_s=RETRY_AFTER_S,
            )
        entry = Entry(reserved, course, now=self._clock.now(), on_settled=self._settle)
        try:
            self._write(line_of(lines.BEGUN, entry.record))
        except OSError as error:
            self._failed(error)
            raise Unavailable(
                "What this request uses could not be written down now; nothing is served that is not accounted for.",
                retry_after_s=RETRY_AFTER_S,
            ) from error
        self._open[entry.id] = entry
        return entry

    def keep(self, windows: Iterable[TokenWindow]) -> None:
        """Keep what token windows hold now over a restart. Never fails: what cannot be written now is written later."""
        changed = tuple(windows)
        for window in changed:
            self._windows[(window.subject, window.kind)] = window
        for some in _in_parts(changed):
            self._write_sometime(line_of(lines.KEPT, some))

    @property
    def windows(self) -> tuple[TokenWindow, ...]:
        """What token windows hold that still mean something."""
        now = self._clock.now().timestamp()
        return tuple(window for window in self._windows.values() if window.until > now)

    # --- how it stands --------------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """Settled requests that auth has not taken in yet."""
        return self._waiting

    @property
    def reasons(self) -> Sequence[str]:
        """Why no request can be begun now."""
        reasons = []
        if self._fault:
            reasons.append(f"Usage cannot be written down: {self._fault}.")
        if self._is_full:
            reasons.append(f"{self._waiting} requests wait to be accounted for by auth: no more are taken.")
        return reasons

    @property
    def _is_full(self) -> bool:
        return self._waiting + len(self._open) >= self._most

    # --- for the delivery -----------------------------------------------------------------------------------

    async def something_settled(self) -> None:
        """Wait until there is something to deliver."""
        while not self._waiting:
            self._settled.clear()
            await self._settled.wait()

    async def undelivered(self, most: int) -> tuple[list[UsageRecord], int]:
        """The oldest records that have not been delivered, and the position after them. Raises `OSError`."""
        waiting = self._waiting
        found, position = await asyncio.to_thread(self._read, most, self._segments.end)
        if waiting and not found:
            log.error("journal_damaged", records=waiting, consequence="they cannot be read any more")
            self._waiting -= waiting
        return found, position

    async def delivered(self, position: int, count: int) -> None:
        """Auth has taken in so many records, up to a position."""
        self._delivered = position
        self._waiting -= count
        self._write_sometime(line_of(lines.DELIVERED, position))
        try:
            await asyncio.to_thread(self._segments.drop_before, position)
        except OSError as error:
            log.warning("journal_not_shortened", reason=error.strerror)

    def _read(self, most: int, end: int) -> tuple[list[UsageRecord], int]:
        found: list[UsageRecord] = []
        position = self._delivered
        starts = self._segments.starts()
        for start, following in zip(starts, [*starts[1:], end], strict=True):
            if following <= position:
                continue
            position = max(position, start)
            path = self._segments.path(start)
            for after, kind, text in read(path, start=start, position=position, end=following):
                position = after
                if kind == lines.SETTLED:
                    with suppress(msgspec.DecodeError):  # replaying has told of it
                        found.append(lines.records.decode(text))
                if len(found) >= most:
                    return found, position
        return found, position

    # --- its life -------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Read what is there, and settle what was never settled. Raises `StartError`."""
        try:
            replay = await asyncio.to_thread(self._replay)
            self._delivered, self._waiting = replay.delivered, replay.waiting
            self._windows = replay.windows
            self._rotate()
            for record in replay.unsettled.values():
                self._append(line_of(lines.SETTLED, record))
        except OSError as error:
            raise StartError(
                f"The journal of usage {self._segments.folder} cannot be used: {error.strerror}."
            ) from error
        self.cut = tuple(replay.unsettled.values())
        if self.cut:
            log.warning("requests_were_cut", count=len(self.cut), consequence="settled with what they had used")

    async def run(self) -> None:
        """Note what is used and sync what is written, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_noting(), name="journal: notes")
            group.create_task(self._keep_syncing(), name="journal: sync")

    async def close(self) -> None:
        """Write down how far everything is, and let go of the files."""
        self._note()
        try:
            await asyncio.to_thread(self._segments.close)
        except OSError as error:
            log.error("journal_not_synced", reason=error.strerror)

    def _replay(self) -> Replay:
        replay = Replay()
        starts = self._segments.open()
        for start in starts:
            damaged = replay.damaged
            replay.take(read(self._segments.path(start), start=start, position=start))
            if replay.damaged > damaged:
                kept = self._segments.keep_damaged(start)
                log.error("journal_damaged", lines=replay.damaged - damaged, kept_as=str(kept))
        replay.delivered = max(replay.delivered, starts[0] if starts else 0)
        return replay

    async def _keep_noting(self) -> None:
        while True:
            await self._clock.sleep(NOTE_EVERY_S)
            self._note()

    async def _keep_syncing(self) -> None:
        while True:
            await self._clock.sleep(SYNC_EVERY_S)
            if files := self._segments.unsynced():
                try:
                    await asyncio.to_thread(self._segments.sync, files)
                except OSError as error:
                    log.error("journal_not_synced", reason=error.strerror, do="check the disk")

    def _note(self) -> None:
        """Write down what requests under way have used, and what could not be written before."""
        changed = [note for entry in self._open.values() if (note := entry.note())]
        try:
            for some in _in_parts(changed):
                self._write(line_of(lines.NOTED, some))
                for note in some:
                    entry = self._open[note.id]
                    entry.record = noted(entry.record, note)
            self._write(line_of(lines.DELIVERED, self._delivered) if self._fault else b"")
            if self._segments.current_bytes > max(SEGMENT_BYTES, 4 * self._head_bytes):
                self._rotate()
        except OSError as error:
            self._failed(error)
        self._watch_fill()

    def _settle(self, entry: Entry) -> None:
        del self._open[entry.id]
        self._write_sometime(line_of(lines.SETTLED, entry.record))

    # --- writing --------------------------------------------------------------------------------------------

    def _write(self, line: bytes) -> None:
        """Write a line, if any, after those that still have to be. Raises `OSError`."""
        if self._segments.is_torn:
            self._rotate()
        while self._unwritten:
            self._append(self._unwritten[0])
            self._unwritten.popleft()
        if line:
            self._append(line)
        if self._fault:
            log.info("journal_written_again")
            self._fault = ""

    def _append(self, line: bytes) -> None:
        self._segments.append(line)
        if lines.kind_of(line) == lines.SETTLED:
            self._waiting += 1
            self._settled.set()

    def _write_sometime(self, line: bytes) -> None:
        """Write a line now, or keep it until it can be: as no request begins meanwhile, there are never many."""
        try:
            self._write(line)
        except OSError as error:
            self._failed(error)
            self._unwritten.append(line)

    def _rotate(self) -> None:
        """Begin a segment with all that those before it need not be kept for. Raises `OSError`."""
        self._windows = {(window.subject, window.kind): window for window in self.windows}
        head = [
            line_of(lines.FORMAT, lines.VERSION),
            line_of(lines.DELIVERED, self._delivered),
            *(line_of(lines.KEPT, some) for some in _in_parts(list(self._windows.values()))),
            *(line_of(lines.BEGUN, entry.record) for entry in self._open.values()),
        ]
        self._head_bytes = sum(map(len, head))
        self._segments.begin(head)

    def _failed(self, error: OSError) -> None:
        reason, now = error.strerror or str(error), self._clock.monotonic()
        if reason != self._fault and now - self._said_at >= SAY_AGAIN_S:
            is_full = error.errno in {errno.ENOSPC, errno.EDQUOT}
            todo = "make room on the disk" if is_full else "check the disk"
            log.error("journal_not_written", reason=reason, consequence="no request is taken", do=todo)
            self._said_at = now
        self._fault = reason

    def _watch_fill(self) -> None:
        is_nearly_full = self._waiting >= WARN_FROM * self._most
        if is_nearly_full and not self._is_nearly_full:
            log.warning("journal_nearly_full", waiting=self._waiting, most=self._most, do="see why auth is away")
        self._is_nearly_full = is_nearly_full


def _in_parts(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for first in range(0, len(items), MAX_ITEMS):
        yield items[first : first + MAX_ITEMS]
