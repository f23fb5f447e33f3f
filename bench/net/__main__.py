"""Calls and events a second between two processes over Hyperswarm: ours beside bare Node, alternating.

`python -m bench.net [ROUNDS]`. Figures are medians over the rounds; quote the ratios, machines differ.
"""

import asyncio
import json
import os
import statistics
import sys
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path
from typing import Any

from hyperinfer.facilities.net.dht import dht
from hyperinfer.facilities.net.driver.install import ensure_installed, node_path

LEVELS = (1, 16, 64, 256)
CALLS = 20_000
EVENTS = 200_000
BARE = Path(__file__).parent / "bare.js"

Result = dict[str, Any]


async def pair(server: list[str], client: list[str], environ: dict[str, str]) -> Result:
    """Run a server and a client; gives what the client printed. `{key}` in its arguments is what the server printed."""
    serving = await asyncio.create_subprocess_exec(*server, stdin=PIPE, stdout=PIPE, env=environ)
    assert serving.stdout is not None
    try:
        # Logs may come first: the line that counts is the last one before the server waits.
        line = ""
        while not (line == "listening" or len(line) == 64):
            line = (await serving.stdout.readline()).decode().strip()
        asking = await asyncio.create_subprocess_exec(
            *(word.replace("{key}", line) for word in client), stdin=DEVNULL, stdout=PIPE, env=environ
        )
        async with asyncio.timeout(180):
            output, _ = await asking.communicate()
        result: Result = json.loads(output.decode().strip().splitlines()[-1])
        return result
    finally:
        serving.kill()
        await serving.wait()


async def main(rounds: int) -> None:
    modules = await ensure_installed(say=print)
    node = str(node_path())
    environ = {**os.environ, "NODE_PATH": str(modules / "node_modules")}
    levels = [str(level) for level in LEVELS]
    ours: list[Result] = []
    bare: list[Result] = []
    async with dht(host="127.0.0.1", port=0) as address:
        python = [sys.executable, "-m", "bench.net.ours"]
        for number in range(rounds):
            print(f"round {number + 1} of {rounds} …", file=sys.stderr)
            work = [str(CALLS), str(EVENTS), *levels]
            there = address.bootstrap
            ours.append(await pair([*python, "server", there], [*python, "client", there, *work], environ))
            client = [node, str(BARE), "client", there, "{key}", *work]
            bare.append(await pair([node, str(BARE), "server", there], client, environ))
    show(ours, bare)


def show(ours: list[Result], bare: list[Result]) -> None:
    def median(results: list[Result], level: int, name: str) -> float:
        figures: list[float] = [one["calls"][str(level)][name] for one in results]
        return statistics.median(figures)

    print(f"calls of 1 KB between two processes over Hyperswarm, loopback; medians of {len(ours)} rounds, alternating")
    print(
        f"{'in flight':>9} | {'ours/s':>8} {'bare/s':>8} {'ratio':>6} | {'p50 ms':>7} {'bare':>6} | "
        f"{'p99 ms':>7} {'bare':>6} | {'CPU ms a call: Python + driver':>30} {'bare':>6}"
    )
    for level in LEVELS:
        rate, other = median(ours, level, "rate"), median(bare, level, "rate")
        print(
            f"{level:>9} | {rate:>8,.0f} {other:>8,.0f} {rate / other:>6.0%} | "
            f"{median(ours, level, 'p50'):>7.2f} {median(bare, level, 'p50'):>6.2f} | "
            f"{median(ours, level, 'p99'):>7.2f} {median(bare, level, 'p99'):>6.2f} | "
            f"{median(ours, level, 'python'):>21.4f} + {median(ours, level, 'driver'):.4f} {median(bare, level, 'cpu'):>6.4f}"
        )
    events, other = (statistics.median(one["events"] for one in results) for results in (ours, bare))
    print(f"events of 100 B: ours {events:,.0f}/s, bare {other:,.0f}/s ({events / other:.0%})")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 3))
