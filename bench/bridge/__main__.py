"""`python -m bench.bridge`: the same answers directly at the gateway's HTTP and through the bridge, in turns."""

import argparse
import asyncio
import statistics
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from bench.gateway.__main__ import Row, Target, measure
from bench.gateway.serve import ECHO, TOKENS
from bench.swarm import across_hyperswarm_at, api_key, process, until_ready
from hyperinfer.facilities.net.dht import dht
from hyperinfer.kernel.identity import load_or_create
from hyperinfer.protocol.links import GatewayLink

AIM_MS = 3.0
"""What the bridge may add to a whole answer at p50, with one request in flight."""

EXPLANATION = f"""A gateway with its workers across Hyperswarm, before an echo backend that answers {TOKENS} tokens: asked at its own HTTP
server, and through a bridge in a process of its own, in turns. Times are the medians of the turns, in milliseconds;
CPU is of the process that is asked, "+driver" of its swarm driver. The aim: the bridge adds less than {AIM_MS:g} ms to a whole
answer at p50."""

HEADER = (
    f"\n{'':<8} {'':<6} {'in':>6} {'requests':>8} {'first':>7} {'p50':>7} {'p99':>7} {'+first':>7} {'+p50':>7} {'CPU ms':>7} {'+driver':>7}\n"
    f"{'':<8} {'':<6} {'flight':>6} {'/s':>8} {'ms':>7} {'ms':>7} {'ms':>7} {'ms':>7} {'ms':>7} {'/req':>7} {'/req':>7}"
)


async def main() -> None:
    """Measure both and print them, with the difference."""
    options = argparse.ArgumentParser(prog="python -m bench.bridge", description=__doc__)
    options.add_argument("--seconds", type=float, default=2.0, help="length of each turn")
    options.add_argument("--turns", type=int, default=3, help="turns of each")
    options.add_argument("--concurrency", type=int, nargs="+", default=[1, 16])
    given = options.parse_args()
    print(EXPLANATION)
    print(HEADER)
    async with _both() as targets:
        for stream in (False, True):
            for concurrency in given.concurrency:
                turns: list[list[Row]] = [[] for _ in targets]
                for _ in range(given.turns):
                    for target, rows in zip(targets, turns, strict=True):
                        rows.append(
                            await measure(target, stream=stream, concurrency=concurrency, seconds=given.seconds)
                        )
                for rows in turns:
                    print(line(rows, turns[0]), flush=True)


def line(rows: Sequence[Row], direct: Sequence[Row]) -> str:
    """What came of the turns of one target, as it is printed."""

    def median(turns: Sequence[Row], name: str) -> float:
        return float(statistics.median(getattr(row.measured, name) for row in turns))

    shown = [median(rows, name) for name in ("first_p50_ms", "p50_ms", "p99_ms")]
    added = [median(rows, name) - median(direct, name) for name in ("first_p50_ms", "p50_ms")]
    differences = "".join(f" {'' if rows is direct else f'{value:.2f}':>7}" for value in added)
    rate = statistics.median(row.measured.requests / row.measured.seconds for row in rows)
    cpu, driver = (statistics.median(getattr(row, name) for row in rows) for name in ("cpu_ms", "driver_ms"))
    first = rows[0]
    return (
        f"{first.target:<8} {'stream' if first.stream else 'whole':<6} {first.concurrency:>6} {rate:>8,.0f}"
        + "".join(f" {value:>7.2f}" for value in shown)
        + differences
        + f" {cpu:>7.3f} {driver:>7.3f}"
    )


@asynccontextmanager
async def _both() -> AsyncIterator[Sequence[Target]]:
    """The gateway, and a bridge to it."""
    async with AsyncExitStack() as stack:
        home, outside = (Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(2))
        address = await stack.enter_async_context(dht(host="127.0.0.1", port=0))
        url, gateway = await stack.enter_async_context(across_hyperswarm_at(home, address.bootstrap, **ECHO))
        key = await api_key(url)
        link = GatewayLink(load_or_create(home / "data" / "gateway" / "identity").public_key)
        words = (str(outside), address.bootstrap, str(link))
        bridge_url, bridge = await stack.enter_async_context(process("bench.bridge.serve", *words))
        await until_ready(bridge_url)
        yield (Target("direct", url, key, gateway), Target("bridge", bridge_url, key, bridge))


if __name__ == "__main__":
    asyncio.run(main())
