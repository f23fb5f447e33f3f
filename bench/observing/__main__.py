"""`python -m bench.observing`: what the gateway spends on a request with each thing that is seen, against nothing seen.

Two swarms run side by side, each with gateway, workers, and their drivers in processes of their own; they are loaded one after the
other, in pairs whose order alternates. The machine's noise hits both of a pair alike, so that the pair's ratio is what counts. Processes
that do the same differ by some percent for as long as they live (where their memory lies): swarms are started anew several times.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from bench.gateway.__main__ import Row, Target, measure
from bench.observing import way
from bench.observing.collection import Collected
from bench.observing.memory import held
from bench.observing.serve import EVERY_TRACE, Setup
from bench.swarm import api_key, process
from hyperinfer.facilities.net.dht import dht

ALONE = "gateway alone"

SEEN: dict[str, dict[str, Any]] = {
    "off": {},
    "metrics": {"metrics": True},
    "log": {"log": True},
    "traces": {"traces_to": True},
    "every trace": {"traces_to": True, "traces_per_s": EVERY_TRACE},
    "all": {"metrics": True, "log": True, "traces_to": True},
    "all, every trace": {"metrics": True, "log": True, "traces_to": True, "traces_per_s": EVERY_TRACE},
    "all, gateway alone": {"metrics": True, "log": True, "traces_to": True, ALONE: True},
}
"""What is seen. `metrics` are counting and a metrics worker that collects every 5 s, keeps a history and looks for alerts;
`traces` are as many as a worker begins by itself. Alone, the
workers behind the gateway see nothing: they share the machine with it here, and what they spend warms no cache of its own."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked of a gateway."""

    stream: bool
    concurrency: int

    def __str__(self) -> str:
        return f"{'stream' if self.stream else 'whole'} {self.concurrency}"


LOADS = {str(load).replace(" ", "-"): load for load in (Load(False, 1), Load(False, 16), Load(True, 1), Load(True, 16))}


@dataclass(frozen=True, slots=True)
class Compared:
    """What came of one load: CPU of the gateway for a request, in microseconds, and the rise of each pair in percent."""

    load: Load
    off: Sequence[Row]
    on: Sequence[Row]

    @property
    def rises(self) -> list[float]:
        """By how much each pair's second one is above its first one."""
        return [100 * (on.cpu_ms / off.cpu_ms - 1) for off, on in zip(self.off, self.on, strict=True)]

    def line(self, name: str) -> str:
        """As it is printed."""
        rises = self.rises
        low, _, high = statistics.quantiles(rises, n=4)
        of = [1000 * statistics.median(row.cpu_ms for row in rows) for rows in (self.off, self.on)]
        driver = [1000 * statistics.median(row.driver_ms for row in rows) for rows in (self.off, self.on)]
        rates = [
            statistics.median(row.measured.requests / row.measured.seconds for row in rows)
            for rows in (self.off, self.on)
        ]
        return (
            f"{name:<18} {self.load!s:<10} {of[0]:>7.0f} {of[1]:>7.0f} {statistics.median(rises):>+7.1f} % {low:>+7.1f} {high:>+7.1f}"
            f" {min(rises):>+7.1f} {max(rises):>+7.1f}  {driver[0]:>6.0f} {driver[1]:>6.0f}  {rates[0]:>6.0f} {rates[1]:>6.0f}"
        )


HEADER = (
    f"{'':<18} {'':<10} {'off':>7} {'on':>7} {'rise':>9} {'from':>7} {'to':>7} {'least':>7} {'most':>7}  {'driver':>13}  {'requests/s':>13}\n"
    f"{'':<18} {'':<10} {'µs':>7} {'µs':>7} {'median':>9} {'quart.':>7} {'quart.':>7} {'%':>7} {'%':>7}  {'off':>6} {'on':>6}  {'off':>6} {'on':>6}"
)


async def main() -> None:
    """Compare everything that is asked for, and print it."""
    options = argparse.ArgumentParser(prog="python -m bench.observing", description=__doc__)
    options.add_argument("--seconds", type=float, default=2.0, help="length of each measurement")
    options.add_argument("--pairs", type=int, default=4, help="of measurements of two swarms")
    options.add_argument("--swarms", type=int, default=3, help="pairs of swarms, each started anew")
    options.add_argument("--on", choices=SEEN, nargs="*", default=["all"], help="what to compare with nothing")
    options.add_argument("--loads", choices=LOADS, nargs="+", default=["whole-1", "whole-16", "stream-1", "stream-16"])
    options.add_argument("--skip", choices=["pieces", "memory"], nargs="*", default=[])
    given = options.parse_args()
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(dht(host="127.0.0.1", port=0))
        receiver, _ = await stack.enter_async_context(process("bench.observing.serve", "receiver"))
        print(__doc__, HEADER, sep="\n", flush=True)
        for name in given.on:
            found: dict[Load, Compared] = {}
            for _ in range(given.swarms):
                async with (
                    _target("off", address.bootstrap, receiver) as off,
                    _target(name, address.bootstrap, receiver) as on,
                ):
                    for load in (LOADS[each] for each in given.loads):
                        rows = await compare(off, on, load, given.pairs, given.seconds)
                        before = found.get(load, Compared(load, (), ()))
                        found[load] = Compared(load, (*before.off, *rows.off), (*before.on, *rows.on))
            for compared in found.values():
                print(compared.line(name), flush=True)
        print(f"\nLoad of the machine: {os.getloadavg()[0]:.1f}. {await _spans(receiver)} spans were taken.")
        if "pieces" not in given.skip:
            await _pieces()
        if "memory" not in given.skip:
            print("\nMemory of the gateway and of the metrics worker, by minutes' worth of collections:")
            async for each in held(address.bootstrap, receiver):
                print(f"{each.minutes:>4} min {each.gateway_mb:>6.0f} MB {each.metrics_mb:>6.0f} MB", flush=True)


async def _pieces() -> None:
    """Print what each thing costs by itself."""
    print("\nA request's way without I/O, in µs of CPU, and what that is above one that is only counted:")
    measured = way.measured()
    least = min(measured.values())
    for name, taken in measured.items():
        print(f"{name:<30} {taken:>6.1f} {taken - least:>+6.1f}")
    words = ("-m", "bench.observing.collection")
    child = await asyncio.create_subprocess_exec(sys.executable, *words, stdout=asyncio.subprocess.PIPE)
    output, _ = await child.communicate()
    seen = msgspec.json.decode(output, type=Collected)
    print(
        f"\nA collection from a gateway with {seen.models} models ({seen.series} series, {seen.text_bytes / 1000:.0f} kB):"
        f" {seen.cpu_ms:.1f} ms of CPU.",
        flush=True,
    )


async def compare(off: Target, on: Target, load: Load, pairs: int, seconds: float) -> Compared:
    """Measure both so many times, who is first in turn."""
    rows: dict[str, list[Row]] = {"off": [], "on": []}
    for number in range(pairs):
        both = [("off", off), ("on", on)]
        for which, target in both if number % 2 == 0 else reversed(both):
            row = await measure(target, stream=load.stream, concurrency=load.concurrency, seconds=seconds)
            rows[which].append(row)
    return Compared(load, rows["off"], rows["on"])


@asynccontextmanager
async def _target(name: str, bootstrap: str, receiver: str) -> AsyncIterator[Target]:
    """A swarm of which this much is seen."""
    seen = dict(SEEN[name])
    alone = seen.pop(ALONE, False)
    if "traces_to" in seen:
        seen["traces_to"] = receiver
    async with AsyncExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory())
        setup = Setup(home=home, bootstrap=bootstrap, **seen)
        nothing = Setup(home=home, bootstrap=bootstrap)
        told, to_workers = (msgspec.json.encode(each).decode() for each in (setup, nothing if alone else setup))
        await stack.enter_async_context(process("bench.observing.serve", "workers", to_workers))
        url, gateway = await stack.enter_async_context(process("bench.observing.serve", "gateway", told))
        if setup.metrics:
            await stack.enter_async_context(process("bench.observing.serve", "metrics", told))
        yield Target(name, url, await api_key(url), gateway)


async def _spans(receiver: str) -> int:
    async with aiohttp.ClientSession() as http, http.get(receiver) as reply:
        return int(await reply.text())


if __name__ == "__main__":
    asyncio.run(main())
