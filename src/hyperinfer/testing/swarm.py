"""A whole swarm in one process: real workers over a net of the test's choice, in a folder of its own."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from hyperinfer.facilities.clock import Clock, SystemClock
from hyperinfer.facilities.net import Net
from hyperinfer.facilities.net.memory import MemoryNet
from hyperinfer.kernel.compose import Part, Running, running
from hyperinfer.kernel.config import load
from hyperinfer.kernel.own_swarm import prepare
from hyperinfer.kernel.worker import WorkerType

QUIET: dict[str, Any] = {"observe.port": 0, "drain_s": 5.0, "ollama.enabled": False}
"""Settings of every worker under test, by dotted path: any free port, a stop that does not wait long, and nothing that
happens to run on this machine."""


def part(worker: WorkerType[Any], *, home: Path, rack: str | None = None, **settings: Any) -> Part:
    """A worker for a test; settings are given by path with `__` for the dot, such as `http__port=0`."""
    base = QUIET | {path.replace("__", "."): value for path, value in settings.items()}
    known = load(worker.name, worker.settings, base=base, environ={}, folder=home / "config")
    return Part(worker, known, rack)


@asynccontextmanager
async def swarm(
    parts: Sequence[Part], *, home: Path, net: Net | None = None, clock: Clock | None = None
) -> AsyncIterator[Mapping[str, Running]]:
    """Run these workers, all members of one swarm, by the name of their folder."""
    time = clock or SystemClock()
    prepare(parts, home=home, now=time.now())
    async with running(parts, home=home, net=net or MemoryNet(), clock=time) as workers:
        yield {worker.name: worker for worker in workers}
