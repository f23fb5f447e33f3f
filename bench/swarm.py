"""What benchmarks start: processes of a swarm, and an account that may use it."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import psutil

from hyperinfer.facilities.net.dht import dht

READY_S = 60.0
ACCOUNT = {"username": "bench", "email": "bench@example.com", "password": "correct horse battery"}


@asynccontextmanager
async def process(module: str, *words: str) -> AsyncIterator[tuple[str, psutil.Process]]:
    """A process that runs a module, with the one line that it prints once it serves. It is told to end after the block."""
    arguments: Sequence[str] = ("-m", module, *words)
    child = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
    assert child.stdout is not None
    try:
        async with asyncio.timeout(READY_S):
            line = await child.stdout.readline()
        if not line:
            raise SystemExit(f"{module} {words[0]} did not start; what it said is above.")
        yield line.decode().strip(), psutil.Process(child.pid)
    finally:
        if child.returncode is None:
            child.terminate()
        await child.wait()


@asynccontextmanager
async def across_hyperswarm(home: Path, **inference: Any) -> AsyncIterator[tuple[str, psutil.Process]]:
    """A gateway, and auth and inference in a process of their own; gives the gateway's URL and process. `inference` are
    settings of the inference worker."""
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(dht(host="127.0.0.1", port=0))
        yield await stack.enter_async_context(across_hyperswarm_at(home, address.bootstrap, **inference))


@asynccontextmanager
async def across_hyperswarm_at(
    home: Path, bootstrap: str, **inference: Any
) -> AsyncIterator[tuple[str, psutil.Process]]:
    """The same on a DHT that there is."""
    words = (str(home), bootstrap, msgspec.json.encode(inference).decode())
    async with (
        process("bench.gateway.serve", "workers", *words),
        process("bench.gateway.serve", "gateway", *words) as gateway,
    ):
        yield gateway


async def until_ready(url: str) -> None:
    """Wait until a server can answer."""
    async with aiohttp.ClientSession(url) as http, asyncio.timeout(READY_S):
        while True:
            async with http.get("/readyz") as reply:
                if reply.status == 200:
                    return
            await asyncio.sleep(0.1)


async def api_key(url: str) -> str:
    """An API key of a new account, once the gateway can answer."""
    await until_ready(url)
    async with (
        asyncio.timeout(READY_S),
        aiohttp.ClientSession(url) as http,
        http.post("/api/auth/register", json=ACCOUNT) as reply,
    ):
        reply.raise_for_status()
        key: str = (await reply.json())["api_key"]["key"]
        return key
