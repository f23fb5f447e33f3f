"""`python -m bench.inference`: the engine asked directly and through gateway and Hyperswarm, in turns."""

import argparse
import asyncio
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from bench.inference.engine import Address
from bench.inference.load import Measured, Plan
from bench.swarm import across_hyperswarm, api_key, process

MODEL = "smollm2-135m"
SLOTS = 16
CONTEXT_TOKENS = 512
TOKENS = 64
REQUESTS = {1: 4, 4: 2, 8: 1, 16: 1}
"""How often each of so many streams asks, so that every measurement takes some seconds."""
DELAY_S = 0.05

ENGINE: dict[str, Any] = {"llamacpp__slots": SLOTS, "llamacpp__context_tokens": CONTEXT_TOKENS}
DELAYED: dict[str, Any] = {
    "llamacpp__enabled": False,
    "echo__enabled": True,
    "echo__tokens": 1,
    "echo__first_token_s": DELAY_S,
}

EXPLANATION = f"""SmolLM2 135M, {SLOTS} slots. Each stream asks for {TOKENS} tokens at a time; every prompt is new. "direct" is the engine
asked over its own socket, "ours" the same engine behind gateway, Hyperswarm and worker, each in a process of its own
and the load generator in another, in both. The two take turns; figures are medians of the rounds, "share" is the
median of each round's ours by direct."""
HEADER = f"\n{'streams':>7} {'direct':>9} {'ours':>9} {'share':>7} {'first token':>12} {'ours':>9}\n{'':>7} {'tokens/s':>9} {'tokens/s':>9} {'%':>7} {'ms':>12} {'ms':>9}"


@dataclass(frozen=True, slots=True)
class Target:
    """Who is asked."""

    url: str
    key: str
    socket: str = ""


async def main() -> None:
    """Measure everything and print it."""
    options = argparse.ArgumentParser(prog="python -m bench.inference", description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--streams", type=int, nargs="+", default=sorted(REQUESTS), choices=sorted(REQUESTS))
    given = options.parse_args()
    print(EXPLANATION)
    await added_by_us()
    rounds = [await one_round(given.streams) for _ in range(given.rounds)]
    print(HEADER)
    for streams in given.streams:
        direct, ours = ([each[way][streams] for each in rounds] for way in (0, 1))
        print(line(streams, direct, ours))


async def one_round(streams: Sequence[int]) -> tuple[dict[int, Measured], dict[int, Measured]]:
    """The engine directly, then behind hyperinfer."""
    found = []
    for way in (_direct, _ours):
        async with way() as target:
            await measure(target, 1, requests=1)
            found.append({number: await measure(target, number, requests=REQUESTS[number]) for number in streams})
    return found[0], found[1]


async def added_by_us() -> None:
    """How much later the first token comes of a backend that takes a known time for it."""
    with tempfile.TemporaryDirectory() as home:
        async with across_hyperswarm(Path(home), **DELAYED) as (url, _):
            target = Target(url, await api_key(url))
            print(f"\nfirst token of a backend that takes {DELAY_S * 1000:.0f} ms for it:", flush=True)
            for streams in (1, 4, 8, 16):
                measured = await measure(target, streams, requests=40, model="echo")
                print(f"{streams:>4} streams: {(measured.first_s - DELAY_S) * 1000:.2f} ms added", flush=True)


async def measure(target: Target, streams: int, *, requests: int, model: str = MODEL) -> Measured:
    """Load a target in a process of its own."""
    plan = Plan(
        url=target.url,
        key=target.key,
        model=model,
        streams=streams,
        requests=requests,
        tokens=TOKENS,
        socket=target.socket,
    )
    words = ("-m", "bench.inference.load", msgspec.json.encode(plan).decode())
    child = await asyncio.create_subprocess_exec(sys.executable, *words, stdout=asyncio.subprocess.PIPE)
    output, _ = await child.communicate()
    if child.returncode:
        raise SystemExit(child.returncode)
    return msgspec.json.decode(output, type=Measured)


def line(streams: int, direct: Sequence[Measured], ours: Sequence[Measured]) -> str:
    """A row of the table."""
    shares = [_speed(mine) / _speed(other) for other, mine in zip(direct, ours, strict=True)]
    speeds = [statistics.median(map(_speed, way)) for way in (direct, ours)]
    firsts = [1000 * statistics.median(one.first_s for one in way) for way in (direct, ours)]
    share = 100 * statistics.median(shares)
    return f"{streams:>7} {speeds[0]:>9.1f} {speeds[1]:>9.1f} {share:>7.1f} {firsts[0]:>12.0f} {firsts[1]:>9.0f}"


def _speed(measured: Measured) -> float:
    return measured.tokens / measured.seconds


@asynccontextmanager
async def _direct() -> AsyncIterator[Target]:
    async with process("bench.inference.engine", str(SLOTS), str(CONTEXT_TOKENS)) as (line_of_address, _):
        address = msgspec.json.decode(line_of_address, type=Address)
        yield Target("http://engine", address.key, address.socket)


@asynccontextmanager
async def _ours() -> AsyncIterator[Target]:
    with tempfile.TemporaryDirectory() as home:
        async with across_hyperswarm(Path(home), **ENGINE) as (url, _):
            yield Target(url, await api_key(url))


if __name__ == "__main__":
    asyncio.run(main())
