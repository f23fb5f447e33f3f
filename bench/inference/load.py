"""Streams at a chat API, so many at a time, each of a fixed number of tokens: how many tokens a second, and how soon."""

import asyncio
import statistics
import sys
import time

import aiohttp
import msgspec
import uvloop

END_OF_TURN = "2"
"""SmolLM2's token that ends an answer: kept from it, so that every answer is as long as it may be."""
STORY = "Tell me a long story about the sea, the ships upon it and the people who sail them, with many names in it."


class Plan(msgspec.Struct, frozen=True):
    """What to do: `streams` at a time, each `requests` times one after the other. `socket` is a Unix socket's path."""

    url: str
    key: str
    model: str
    streams: int
    requests: int
    tokens: int
    socket: str = ""


class Measured(msgspec.Struct, frozen=True):
    """What came of it: tokens in all, in so many seconds, and the median time to first token (s)."""

    tokens: int
    seconds: float
    first_s: float


async def run(plan: Plan) -> Measured:
    """Ask, and count."""
    firsts: list[float] = []
    tokens = 0
    # A connection for each request: the engine closes kept ones in the very moment in which they are used again.
    connector: aiohttp.BaseConnector = (
        aiohttp.UnixConnector(plan.socket, limit=0, force_close=True) if plan.socket else aiohttp.TCPConnector(limit=0)
    )
    headers = {"authorization": f"Bearer {plan.key}"}
    async with aiohttp.ClientSession(connector=connector, headers=headers) as http:

        async def stream(name: int) -> None:
            nonlocal tokens
            for number in range(plan.requests):
                said, first_s = await one(http, plan, f"{name}.{number}")
                tokens += said
                firsts.append(first_s)

        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for name in range(plan.streams):
                group.create_task(stream(name))
        seconds = time.perf_counter() - began
    return Measured(tokens, seconds, statistics.median(firsts))


async def one(http: aiohttp.ClientSession, plan: Plan, label: str) -> tuple[int, float]:
    """One stream; gives its tokens and the time to the first. The label comes first, so that no prompt is cached."""
    body = {
        "model": plan.model,
        "messages": [{"role": "user", "content": f"{time.time_ns()} {label}. {STORY}"}],
        "max_tokens": plan.tokens,
        "temperature": 0,
        "logit_bias": {END_OF_TURN: -100},
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    began, first = time.perf_counter(), 0.0
    tokens = 0
    async with http.post(f"{plan.url}/v1/chat/completions", json=body) as reply:
        if reply.status != 200:
            raise SystemExit(f"The server refused: {(await reply.text())[:500]}")
        async for line in reply.content:
            if not first and b'"content":"' in line and b'"content":""' not in line:
                first = time.perf_counter()
            if b'"usage":{' in line:
                tokens = msgspec.json.decode(line.removeprefix(b"data: "))["usage"]["completion_tokens"]
    return tokens, first - began


def main() -> None:
    """Run the plan that is given as JSON, and print what was measured as JSON."""
    plan = msgspec.json.decode(sys.argv[1].encode(), type=Plan)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        measured = runner.run(run(plan))
    print(msgspec.json.encode(measured).decode())


if __name__ == "__main__":
    main()
