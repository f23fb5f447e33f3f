"""The product for official clients, and JavaScript peers: Node scripts with the packages that the driver's lock file names."""

import asyncio
import os
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.contract.product import MODELS, Product, staged

from hyperinfer.facilities.net.driver.install import ensure_installed, node_path

SCRIPTS = Path(__file__).parent / "js"

Node = Callable[..., Awaitable[asyncio.subprocess.Process]]


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """One for all tests of official clients: they leave nothing behind in it."""
    with staged(tmp_path_factory.mktemp("product"), MODELS) as running:
        yield running


@pytest.fixture
async def node() -> Node:
    """Starts a script of `js/` with arguments."""
    modules = await ensure_installed()

    async def start(script: str, *arguments: str, stdin: int = DEVNULL) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            node_path(),
            SCRIPTS / script,
            *arguments,
            stdin=stdin,
            stdout=PIPE,
            env={**os.environ, "NODE_PATH": str(modules / "node_modules")},
        )

    return start


STRANGER = bytes(range(32))
"""The seed of a client that is no member of anything."""


async def ask(
    node: Node, bootstrap: str, topic: bytes, *requests: tuple[str, Any], seed: bytes = STRANGER
) -> dict[str, Any]:
    """What the client script got for its requests."""
    process = await node("client.js", bootstrap, topic.hex(), msgspec.json.encode(requests).decode(), seed.hex())
    async with asyncio.timeout(30):
        output, _ = await process.communicate()
    return msgspec.json.decode(output, type=dict[str, Any])


@asynccontextmanager
async def js_server(node: Node, bootstrap: str, topic: bytes) -> AsyncIterator[bytes]:
    """The server script for the length of the block; gives its public key."""
    process = await node("server.js", bootstrap, topic.hex(), stdin=PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield bytes.fromhex((await process.stdout.readline()).decode().strip())
    finally:
        process.stdin.close()
        await process.wait()
