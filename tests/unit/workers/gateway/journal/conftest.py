"""A journal in a folder of the test's own, by a clock that the test turns, and an auth worker that can be away."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hyperinfer.contracts.inference import Usage
from hyperinfer.contracts.usage import Recorded, RecordUsage, UsageRecord
from hyperinfer.testing.clock import ManualClock
from hyperinfer.testing.gateway import FakeGateway
from hyperinfer.workers.gateway.journal import Entry, Journal, JournalSettings, Reserved, journaling


@dataclass
class Going:
    """A request under way, as far as the test says."""

    model: str = ""
    worker: str = ""
    usage: Usage = field(default_factory=Usage)
    estimated: bool = True
    duration_s: float = 0.0
    first_token_s: float | None = None


class Ledger(FakeGateway):
    """Auth as the journal meets it: takes in what is new, refuses what it is told to, and is away or slow on command."""

    def __init__(self) -> None:
        super().__init__(recordUsage=self._record)
        self.taken: dict[str, UsageRecord] = {}
        self.batches: list[int] = []
        self.error: Exception | None = None
        self.refuses: Callable[[UsageRecord], str | None] = lambda _: None
        self.forgets: Callable[[UsageRecord], bool] = lambda _: False
        self.called = asyncio.Event()

    async def _record(self, request: RecordUsage, *_: Any) -> Recorded:
        self.called.set()
        self.batches.append(len(request.records))
        if self.error is not None:
            raise self.error
        refused = {record.id: why for record in request.records if (why := self.refuses(record))}
        taken = [record for record in request.records if record.id not in refused and not self.forgets(record)]
        for record in taken:
            self.taken.setdefault(record.id, record)
        return Recorded(ids=tuple(record.id for record in taken), refused=refused)


@dataclass
class Desk:
    """Where a journal is kept, and what it needs."""

    data: Path
    clock: ManualClock = field(default_factory=ManualClock)
    auth: Ledger = field(default_factory=Ledger)
    settings: JournalSettings = field(default_factory=JournalSettings)

    @property
    def folder(self) -> Path:
        return self.data / "journal"

    @property
    def segments(self) -> list[Path]:
        return sorted(self.folder.glob("*.log"))

    def opened(self) -> AbstractAsyncContextManager[Journal]:
        """The journal as a gateway runs it."""
        return journaling(self.data, self.auth, clock=self.clock, settings=self.settings)

    async def left(self) -> Journal:
        """What a gateway that is killed now leaves behind, as the next one reads it."""
        journal = Journal(self.folder, clock=self.clock, settings=self.settings)
        await journal.open()
        return journal

    async def turn(self, seconds: float, until: Callable[[], bool]) -> None:
        """Turn the clock on, step by step, until something holds."""
        async with asyncio.timeout(10):
            while not until():
                self.clock.advance(seconds)
                await asyncio.sleep(0.001)


def begin(journal: Journal, going: Going | None = None, *, user: str = "u1", label: str | None = None) -> Entry:
    return journal.begin(Reserved(user, "k1", "m", "chat", "ab" * 32, label), going or Going())


async def all_waiting(journal: Journal) -> Sequence[UsageRecord]:
    """Everything that waits for delivery."""
    records, _ = await journal.backlog.oldest(1_000_000)
    return records


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)
