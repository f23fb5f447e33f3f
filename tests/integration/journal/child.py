"""A gateway's journal in a process of its own, for tests to kill: says on standard output what it has promised.

`load FOLDER`: requests begin, run and are settled at random, until killed. A line `+ID` says that one has begun,
`=ID TOKENS` that it has been settled, `-ID` that auth has taken it.
`full FOLDER`: goes through a full disk, and says what it sees.
"""

import asyncio
import os
import resource
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from hyperinfer.contracts.inference import Usage
from hyperinfer.contracts.usage import Recorded, RecordUsage
from hyperinfer.errors import Unavailable
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.testing.eventually import eventually
from hyperinfer.testing.gateway import FakeGateway
from hyperinfer.workers.gateway.journal import Entry, Journal, JournalSettings, Reserved, journaling, writer

AT_ONCE = 64


@dataclass
class Going:
    """A request under way."""

    model: str = "m"
    worker: str = "cd" * 32
    usage: Usage = field(default_factory=lambda: Usage(prompt_tokens=5))
    estimated: bool = True
    duration_s: float = 0.0
    first_token_s: float | None = None


def say(text: str) -> None:
    """One write, so that a line is there whole or not at all; marked off from what is logged."""
    os.write(1, f"> {text}\n".encode())


async def record(request: RecordUsage, *_: Any) -> Recorded:
    """Take in what comes; the file outlives this process."""
    if Random().random() < 0.3:
        raise Unavailable("Away.")
    with open(sys.argv[2] + "/ledger", "ab", buffering=0) as ledger:  # noqa: ASYNC230, PTH123 - a test's own process
        ledger.write(b"".join(b"%b %d\n" % (one.id.encode(), one.completion_tokens) for one in request.records))
    return Recorded(ids=tuple(one.id for one in request.records))


def begin(journal: Journal, going: Going) -> Entry:
    """A request begins."""
    return journal.begin(Reserved("u1", None, "m", "chat", "ab" * 32, None), going)


async def load(folder: Path) -> None:
    """Requests without end."""
    writer.SEGMENT_BYTES = 20_000
    chance = Random()
    auth = FakeGateway(recordUsage=record)
    async with journaling(folder, auth, clock=SystemClock(), settings=JournalSettings()) as journal:

        async def one() -> None:
            while True:
                going = Going()
                entry = begin(journal, going)
                say(f"+{entry.id}")
                for tokens in range(1, chance.randint(1, 20)):
                    await asyncio.sleep(chance.random() * 0.02)
                    going.usage = Usage(prompt_tokens=5, completion_tokens=tokens)
                settled = entry.settle("success")
                say(f"={entry.id} {settled.completion_tokens}")

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(one())


async def full(folder: Path) -> None:
    """A disk that takes no more, and then does again."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    auth = FakeGateway(recordUsage=record)
    async with journaling(folder, auth, clock=SystemClock(), settings=JournalSettings()) as journal:

        async def writes() -> bool:
            return not journal.reasons

        before = begin(journal, Going())
        # Nothing can be written any more, then a part of a line, then all again.
        for left in (0, 100):
            under_way = begin(journal, Going()) if left else before
            size = max(path.stat().st_size for path in (folder / "journal").glob("*.log")) if left else 0
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + left, most))
            try:
                begin(journal, Going())
                say("begun")
            except Unavailable as error:
                say(f"refused {error.details['retry_after_s']} {journal.reasons}")
            under_way.settle("success")
            say(f"waiting {journal.waiting}")
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
            await eventually(writes)
            begin(journal, Going()).settle("success")
            say("recovered")


if __name__ == "__main__":
    asyncio.run({"load": load, "full": full}[sys.argv[1]](Path(sys.argv[2])))
