"""A process with a journal is killed at random points, again and again: every request is accounted exactly once."""

import asyncio
import re
import signal
import sys
from pathlib import Path
from random import Random

import pytest

from hyperinfer.facilities.clock import SystemClock
from hyperinfer.workers.gateway.journal import Journal, JournalSettings

CHILD = Path(__file__).with_name("child.py")
ROUNDS = 12

pytestmark = pytest.mark.slow


async def started(mode: str, folder: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(CHILD),
        mode,
        str(folder),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=2**24,
    )


async def test_killed_again_and_again_nothing_is_missing_and_nothing_twice(tmp_path: Path) -> None:
    chance = Random()
    begun: set[str] = set()
    settled: dict[str, int] = {}
    for _ in range(ROUNDS):
        child = await started("load", tmp_path)
        assert child.stdout is not None
        assert child.stderr is not None
        said = [await child.stdout.readline()]
        reader = asyncio.create_task(child.stdout.read())
        await asyncio.sleep(chance.random() * 1.2)
        child.send_signal(signal.SIGKILL)
        said += (await reader).splitlines(keepends=True)
        errors = await child.stderr.read()
        assert await child.wait() == -signal.SIGKILL, errors.decode()
        assert b"Traceback" not in errors, errors.decode()
        for line in said:
            if line.startswith(b"> +"):
                begun.add(line[3:].decode().strip())
            elif line.startswith(b"> =") and line.endswith(b"\n"):
                name, tokens = line[3:].decode().split()
                settled[name] = int(tokens)
    assert len(settled) > 500
    journal = Journal(tmp_path / "journal", clock=SystemClock(), settings=JournalSettings())
    await journal.open()
    waiting, _ = await journal.backlog.oldest(1_000_000)
    assert len(waiting) == journal.waiting
    taken = [line.split() for line in (tmp_path / "ledger").read_text().splitlines()]
    # Auth counts an id once, the first time it comes: what is sent twice must say the same.
    accounts: dict[str, set[int]] = {name: set() for name, _ in taken}
    for name, tokens in taken:
        accounts[name].add(int(tokens))
    for record in waiting:
        accounts.setdefault(record.id, set()).add(record.completion_tokens)
    assert begun <= accounts.keys()
    assert all(len(told) == 1 for told in accounts.values())
    assert {name: accounts[name] for name in settled} == {name: {tokens} for name, tokens in settled.items()}
    cut = [record for record in waiting if record.error_code == "GATEWAY_KILLED"]
    assert {record.id for record in journal.cut} <= {record.id for record in cut}
    assert any(max(accounts[name]) for name in accounts.keys() - settled.keys()), "what was noted last is there"
    assert len(list((tmp_path / "journal").glob("*.log"))) < 40
    assert not list((tmp_path / "journal").glob("*.damaged"))


async def test_a_full_disk_refuses_requests_and_loses_none(tmp_path: Path) -> None:
    child = await started("full", tmp_path)
    async with asyncio.timeout(20):
        out, errors = await child.communicate()
    assert child.returncode == 0, errors.decode()
    said = [line[2:] for line in out.decode().splitlines() if line.startswith("> ")]
    assert re.match(r"refused 5 \['Usage cannot be written down: File too large\.'\]", said[0]), said
    assert said[1:3] == ["waiting 0", "recovered"]
    assert said[3].startswith("refused 5"), said
    assert said[-1] == "recovered"
    ledger = tmp_path / "ledger"
    taken = [line.split()[0] for line in ledger.read_text().splitlines()] if ledger.exists() else []
    # Auth is away at random: what it has not taken by the end waits in the journal.
    journal = Journal(tmp_path / "journal", clock=SystemClock(), settings=JournalSettings())
    await journal.open()
    waiting, _ = await journal.backlog.oldest(1_000)
    assert len(set(taken)) == len(taken)
    assert len(set(taken) | {record.id for record in waiting}) == 4
    assert not list((tmp_path / "journal").glob("*.damaged"))
