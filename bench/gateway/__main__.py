"""`python -m bench.gateway`: prints requests a second, latency and CPU per request as a table."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import psutil

from bench.gateway.load import Measured, Plan
from bench.gateway.serve import BATCH, ECHO, MODEL, TOKENS
from bench.swarm import across_hyperswarm, api_key, process


@dataclass(frozen=True, slots=True)
class Target:
    """A server under test. `gateway` is the process whose CPU counts."""

    name: str
    url: str
    key: str
    gateway: psutil.Process


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; times in milliseconds. `driver_ms` is CPU of the gateway's swarm driver."""

    target: str
    stream: bool
    concurrency: int
    measured: Measured
    cpu_ms: float
    driver_ms: float


async def main() -> None:
    """Measure everything and print it."""
    options = argparse.ArgumentParser(prog="python -m bench.gateway", description=__doc__)
    options.add_argument("--seconds", type=float, default=3.0, help="length of each measurement")
    options.add_argument("--concurrency", type=int, nargs="+", default=[1, 16, 64])
    options.add_argument("--only", choices=["floor", "one", "far"], nargs="+", default=["floor", "one", "far"])
    given = options.parse_args()
    print(EXPLANATION)
    print(HEADER)
    floors: dict[tuple[bool, int], Row] = {}
    for name in given.only:
        async with TARGETS[name]() as target:
            for stream in (False, True):
                for concurrency in given.concurrency:
                    row = await measure(target, stream=stream, concurrency=concurrency, seconds=given.seconds)
                    floors.setdefault((stream, concurrency), row)
                    print(line(row, floors[(stream, concurrency)]), flush=True)


EXPLANATION = f"""The gateway before an echo backend, with authentication and limits on. A request is 1 KB, an answer
{TOKENS} tokens, streamed as so many chunks in batches of {BATCH}. "floor" is a bare ASGI app on the same HTTP
server with the same answer and no gateway, worker or hop behind it; "one process" is auth, gateway
and inference in one; "Hyperswarm" is gateway and workers in processes of their own. "+p50" is what
p50 is above the floor's. CPU is of the gateway's process ("one process": of all three workers)."""

HEADER = (
    f"\n{'':<11} {'':<6} {'in':>6} {'requests':>8} {'chunks':>8} {'first':>7} {'p50':>7} {'p99':>7} {'+p50':>6}"
    f" {'CPU ms':>7} {'+driver':>7}\n"
    f"{'':<11} {'':<6} {'flight':>6} {'/s':>8} {'/s':>8} {'ms':>7} {'ms':>7} {'ms':>7} {'ms':>6} {'/req':>7} {'/req':>7}"
)


def line(row: Row, floor: Row) -> str:
    """A row as it is printed."""
    seen = row.measured
    added = "" if floor.target == row.target else f"{seen.p50_ms - floor.measured.p50_ms:.2f}"
    return (
        f"{row.target:<11} {'stream' if row.stream else 'whole':<6} {row.concurrency:>6}"
        f" {seen.requests / seen.seconds:>8,.0f} {seen.chunks / seen.seconds:>8,.0f} {seen.first_p50_ms:>7.2f}"
        f" {seen.p50_ms:>7.2f} {seen.p99_ms:>7.2f} {added:>6} {row.cpu_ms:>7.3f} {row.driver_ms:>7.3f}"
    )


async def measure(target: Target, *, stream: bool, concurrency: int, seconds: float) -> Row:
    """Load a target in a process of its own, and see what the gateway spent on it."""
    address = urlsplit(target.url)
    plan = Plan(
        host=address.hostname or "",
        port=address.port or 0,
        key=target.key,
        model=MODEL,
        stream=stream,
        concurrency=concurrency,
        seconds=seconds,
    )
    before = _cpu_s(target.gateway)
    arguments = ("-m", "bench.gateway.load", msgspec.json.encode(plan).decode())
    child = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
    output, _ = await child.communicate()
    if child.returncode:
        raise SystemExit(child.returncode)
    spent = [after - at_first for after, at_first in zip(_cpu_s(target.gateway), before, strict=True)]
    measured = msgspec.json.decode(output, type=Measured)
    cpu_ms, driver_ms = (1000 * each / measured.total for each in spent)
    return Row(target.name, stream, concurrency, measured, cpu_ms, driver_ms)


def _cpu_s(process: psutil.Process) -> tuple[float, float]:
    """CPU seconds of a process, and of its children, of which the swarm driver is the only one."""
    own = process.cpu_times()
    children = [child.cpu_times() for child in process.children()]
    return own.user + own.system, sum(each.user + each.system for each in children)


@asynccontextmanager
async def _floor() -> AsyncIterator[Target]:
    async with process("bench.gateway.serve", "floor", "") as (url, running):
        yield Target("floor", url, "", running)


@asynccontextmanager
async def _one() -> AsyncIterator[Target]:
    with tempfile.TemporaryDirectory() as home:
        async with process("bench.gateway.serve", "all", home) as (url, running):
            yield Target("one process", url, await api_key(url), running)


@asynccontextmanager
async def _far() -> AsyncIterator[Target]:
    with tempfile.TemporaryDirectory() as home:
        async with across_hyperswarm(Path(home), **ECHO) as (url, running):
            yield Target("Hyperswarm", url, await api_key(url), running)


TARGETS = {"floor": _floor, "one": _one, "far": _far}


if __name__ == "__main__":
    asyncio.run(main())
