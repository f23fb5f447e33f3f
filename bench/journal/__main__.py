"""Time what accounting for a request costs the gateway, while its journal is synced and delivered as in production.

Beside it stands the same through SQLite in WAL mode, committed where the journal hands its lines to the kernel.
"""

import asyncio
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from hyperinfer.contracts.inference import Usage
from hyperinfer.contracts.usage import Recorded
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.kernel.run import loop_factory
from hyperinfer.workers.gateway.journal import Journal, JournalSettings, PromptHash, Reserved, journaling

ROUNDS = 30_000
UNDER_WAY = 64
BURST = 50
PROMPT = b'[{"role":"user","content":"' + b"word " * 200 + b'"}]'


class Answered:
    """A request whose answer is whole."""

    model, worker, usage = "smollm2-135m", "ab" * 32, Usage(prompt_tokens=30, completion_tokens=120)
    estimated, duration_s, first_token_s = False, 1.5, 0.2


class Auth:
    """An auth worker that takes everything."""

    async def call(self, *asked: Any, **_: Any) -> Any:
        """Say so."""
        return Recorded(ids=tuple(record.id for record in asked[1].records))


def row(name: str, taken_s: list[float]) -> None:
    """Print a line of the table."""
    p50, p99 = statistics.median(taken_s), statistics.quantiles(taken_s, n=100)[-1]
    print(f"{name:32}{p50 * 1e6:9.1f}{p99 * 1e6:9.1f}{statistics.fmean(taken_s) * 1e6:9.1f}")


async def ours(folder: Path) -> tuple[list[float], list[float], list[float], int]:
    """Seconds of hashing the prompt, of beginning and of settling; and the bytes written for a request."""
    prompts, course = PromptHash.of_folder(folder), Answered()
    hashed: list[float] = []
    begun: list[float] = []
    settled: list[float] = []
    async with journaling(folder, Auth(), clock=SystemClock(), settings=JournalSettings()) as journal:
        open_entries = [_begun(journal, prompts(PROMPT), course) for _ in range(UNDER_WAY)]
        first = position(journal)
        for number in range(ROUNDS):
            at = time.perf_counter()
            digest = prompts(PROMPT)
            hashed.append(time.perf_counter() - at)
            at = time.perf_counter()
            entry = _begun(journal, digest, course)
            begun.append(time.perf_counter() - at)
            open_entries.append(entry)
            at = time.perf_counter()
            open_entries.pop(0).settle("success")
            settled.append(time.perf_counter() - at)
            if number % BURST == 0:
                await asyncio.sleep(0.005)  # so that what runs beside it does run
        written = (position(journal) - first) // ROUNDS
        for entry in open_entries:
            entry.settle("success")
    return hashed, begun, settled, written


def position(journal: Journal) -> int:
    """How many bytes have been written in all."""
    return journal._segments.end


def _begun(journal: Journal, digest: str, course: Answered) -> Any:
    return journal.begin(Reserved("u" * 36, "k" * 36, "smollm2-135m", "chat", digest, "label-1"), course)


def sqlite(folder: Path) -> tuple[list[float], list[float], int]:
    """The same records as rows of a table: seconds of inserting and of updating, and the bytes written for a request."""
    record = msgspec.json.encode({"id": "0" * 36, "rest": "x" * 420})
    connection = sqlite3.connect(folder / "journal.sqlite", isolation_level=None)
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "wal_autocheckpoint = 0"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("CREATE TABLE entries (seq INTEGER PRIMARY KEY, settled INTEGER, record BLOB)")
    begun, settled = [], []
    for number in range(ROUNDS):
        at = time.perf_counter()
        connection.execute("INSERT INTO entries VALUES (?, 0, ?)", (number, record))
        begun.append(time.perf_counter() - at)
        if number >= UNDER_WAY:
            at = time.perf_counter()
            change = "UPDATE entries SET settled = 1, record = ? WHERE seq = ?"
            connection.execute(change, (record, number - UNDER_WAY))
            settled.append(time.perf_counter() - at)
    written = (folder / "journal.sqlite-wal").stat().st_size // ROUNDS
    connection.close()
    return begun, settled, written


async def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        hashed, begun, settled, written = await ours(Path(folder))
        print(f"{'µs':32}{'p50':>9}{'p99':>9}{'mean':>9}")
        row(f"hash a prompt of {len(PROMPT)} bytes", hashed)
        row("journal: begin", begun)
        row("journal: settle", settled)
        row("journal: both", [one + other for one, other in zip(begun, settled, strict=True)])
        print(f"journal: {written:,} bytes written for a request")
    with tempfile.TemporaryDirectory() as folder:
        begun, settled, written = sqlite(Path(folder))
        row("SQLite: insert", begun)
        row("SQLite: update", settled)
        print(f"SQLite: {written:,} bytes written for a request, before checkpoints")


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(main())
