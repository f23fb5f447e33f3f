"""The journal of usage: every request is reserved before it is forwarded, and settled before its answer is whole.

What has been written is in the kernel's hands, and so outlives this process; within a second it is on the disk.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import structlog

from hyperinfer.contracts.usage import UsageRecord
from hyperinfer.errors import StartError, Unavailable
from hyperinfer.facilities.clock import Clock
from hyperinfer.workers.gateway.journal import lines
from hyperinfer.workers.gateway.journal.backlog import Backlog
from hyperinfer.workers.gateway.journal.config import JournalSettings
from hyperinfer.workers.gateway.journal.entry import Course, Entry, Reserved
from hyperinfer.workers.gateway.journal.lines import MAX_ITEMS, TokenWindow, line_of
from hyperinfer.workers.gateway.journal.replay import Replay, noted
from hyperinfer.workers.gateway.journal.segments import Segments, read
from hyperinfer.workers.gateway.journal.writer import Writer

FOLDER = "journal"
NOTE_EVERY_S = 0.1
SYNC_EVERY_S = 0.5
RETRY_AFTER_S = 5

log = structlog.get_logger(__name__)

Item = TypeVar("Item")


class Journal:
    """The journal in one folder. `cut` are the requests of the last run that were never settled: they are now.

    `begin`, `keep` and an entry's `settle` take microseconds and wait for no disk. `backlog` is for the delivery.
    """

    def __init__(self, folder: Path, *, clock: Clock, settings: JournalSettings) -> None:
        self._clock = clock
        self._most = settings.max_undelivered
        self._segments = Segments(folder)
        self._writer = Writer(self._segments, head=self._head, on_written=self._written, clock=clock)
        self._open: dict[str, Entry] = {}
        self._windows: dict[tuple[str, str], TokenWindow] = {}
        self._told_position = 0
        self.backlog = Backlog(self._segments, most=self._most)
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
            self._writer.write(line_of(lines.BEGUN, entry.record))
        except OSError as error:
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
            self._writer.write_sometime(line_of(lines.KEPT, some))

    @property
    def windows(self) -> tuple[TokenWindow, ...]:
        """What token windows hold that still mean something."""
        now = self._clock.now().timestamp()
        return tuple(window for window in self._windows.values() if window.until > now)

    @property
    def waiting(self) -> int:
        """Settled requests that auth has not taken in yet."""
        return self.backlog.waiting

    @property
    def oldest_s(self) -> float:
        """How long ago the oldest request began that auth has not taken in, as far as is known; 0 if none waits."""
        at = self.backlog.oldest_at if self.waiting else None
        return 0.0 if at is None else max(0.0, (self._clock.now() - at).total_seconds())

    def size(self) -> tuple[int, int]:
        """How many segments there are, and how many bytes they hold together. Looks into the folder."""
        starts = self._segments.starts()
        return len(starts), self._segments.end - starts[0] if starts else 0

    @property
    def reasons(self) -> Sequence[str]:
        """Why no request can be begun now."""
        reasons = []
        if self._writer.fault:
            reasons.append(f"Usage cannot be written down: {self._writer.fault}.")
        if self._is_full:
            reasons.append(f"{self.waiting} requests wait to be accounted for by auth: no more are taken.")
        return reasons

    @property
    def _is_full(self) -> bool:
        return self.waiting + len(self._open) >= self._most

    def _settle(self, entry: Entry) -> None:
        del self._open[entry.id]
        self._writer.write_sometime(line_of(lines.SETTLED, entry.record))

    def _written(self, line: bytes) -> None:
        if lines.kind_of(line) == lines.SETTLED:
            self.backlog.add()

    # --- its life -------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Read what is there, and settle what was never settled. Raises `StartError`."""
        try:
            replay = await asyncio.to_thread(self._replay)
            self._windows = replay.windows
            self.backlog.position, self.backlog.waiting = replay.delivered, replay.waiting
            self._writer.begin_segment()
            for record in replay.unsettled.values():
                self._writer.write(line_of(lines.SETTLED, record))
        except OSError as error:
            folder = self._segments.folder
            raise StartError(f"The journal of usage {folder} cannot be used: {error.strerror}.") from error
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

    def _note(self) -> None:
        """Write down what requests under way have used and how far has been delivered; in vain, the next time."""
        changed = [note for entry in self._open.values() if (note := entry.note())]
        with suppress(OSError):
            for some in _in_parts(changed):
                self._writer.write(line_of(lines.NOTED, some))
                for note in some:
                    entry = self._open[note.id]
                    entry.record = noted(entry.record, note)
            position = self.backlog.position
            if position != self._told_position or self._writer.fault:
                self._writer.write(line_of(lines.DELIVERED, position))
                self._told_position = position
            if self._writer.is_long:
                self._writer.begin_segment()

    async def _keep_syncing(self) -> None:
        while True:
            await self._clock.sleep(SYNC_EVERY_S)
            if files := self._segments.unsynced():
                try:
                    await asyncio.to_thread(self._sync, files, self.backlog.position)
                except OSError as error:
                    log.error("journal_not_synced", reason=error.strerror, do="check the disk")

    def _sync(self, files: Sequence[int], delivered: int) -> None:
        """Sync, and only then remove what has been delivered: what it held besides is on the disk elsewhere now."""
        self._segments.sync(files)
        self._segments.drop_before(delivered)

    def _head(self) -> list[bytes]:
        """All that the segments of before need not be kept for, but records that have not been delivered."""
        self._windows = {(window.subject, window.kind): window for window in self.windows}
        return [
            line_of(lines.FORMAT, lines.VERSION),
            line_of(lines.DELIVERED, self.backlog.position),
            *(line_of(lines.KEPT, some) for some in _in_parts(list(self._windows.values()))),
            *(line_of(lines.BEGUN, entry.record) for entry in self._open.values()),
        ]


def _in_parts(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for first in range(0, len(items), MAX_ITEMS):
        yield items[first : first + MAX_ITEMS]
