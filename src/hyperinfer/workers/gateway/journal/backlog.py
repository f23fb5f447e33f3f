"""What has been settled and not delivered: it is read from the files when its turn comes, and never kept in memory."""

import asyncio
from contextlib import suppress
from datetime import datetime

import msgspec
import structlog

from hyperinfer.contracts.usage import UsageRecord
from hyperinfer.workers.gateway.journal import lines
from hyperinfer.workers.gateway.journal.segments import Segments, read

WARN_FROM = 0.8
"""How full it is when somebody is told."""

log = structlog.get_logger(__name__)


class Backlog:
    """The records of some segments that wait. `waiting` is how many, `position` up to where all have been delivered, and
    `oldest_at` when the oldest request began that waits, as far as anybody has looked."""

    def __init__(self, segments: Segments, *, most: int) -> None:
        self._segments = segments
        self._most = most
        self._settled = asyncio.Event()
        self._is_nearly_full = False
        self.waiting = 0
        self.position = 0
        self.oldest_at: datetime | None = None

    def add(self) -> None:
        """One more has been written."""
        self.waiting += 1
        self._settled.set()
        if not self._is_nearly_full and self.waiting >= WARN_FROM * self._most:
            self._is_nearly_full = True
            log.warning("journal_nearly_full", waiting=self.waiting, most=self._most, do="see why auth is away")

    async def something(self) -> None:
        """Wait until something waits."""
        while not self.waiting:
            self._settled.clear()
            await self._settled.wait()

    async def oldest(self, most: int) -> tuple[list[UsageRecord], int]:
        """The oldest records, and the position after them. Raises `OSError`."""
        waiting = self.waiting
        found, position = await asyncio.to_thread(self._read, most, self._segments.end)
        if waiting and not found:
            log.error("journal_damaged", records=waiting, consequence="they cannot be read any more")
            self.waiting -= waiting
        self.oldest_at = found[0].started_at if found else None
        return found, position

    def delivered(self, position: int, count: int) -> None:
        """So many records, up to a position, need not be kept any longer."""
        self.position = position
        self.waiting -= count
        self.oldest_at = None
        self._is_nearly_full = self.waiting >= WARN_FROM * self._most

    def _read(self, most: int, end: int) -> tuple[list[UsageRecord], int]:
        found: list[UsageRecord] = []
        position = self.position
        starts = self._segments.starts()
        for start, following in zip(starts, [*starts[1:], end], strict=True):
            if following <= position:
                continue
            position = max(position, start)
            for after, kind, text in read(self._segments.path(start), start=start, position=position, end=following):
                position = after
                if kind == lines.SETTLED:
                    with suppress(msgspec.DecodeError):  # replaying has told of it
                        found.append(lines.records.decode(text))
                if len(found) >= most:
                    return found, position
        return found, position
