"""A DHT of one's own: a bootstrap node, a persistent node and further ones, so that a private swarm needs no public network."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec

from hyperinfer.errors import StartError
from hyperinfer.facilities.net.driver.install import SOURCE, Say, ensure_installed, node_path

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 3.0


class DhtAddress(msgspec.Struct, frozen=True):
    """Where the bootstrap node listens."""

    host: str
    port: int

    @property
    def bootstrap(self) -> str:
        """As `net.bootstrap` takes it."""
        return f"{self.host}:{self.port}"


@asynccontextmanager
async def dht(
    *,
    host: str,
    port: int,
    join: str = "",
    node: str | None = None,
    say: Say = lambda _: None,
    on_end: Callable[[], None] = lambda: None,
) -> AsyncIterator[DhtAddress]:
    """Run the two nodes for the length of the block; port 0 takes any. `on_end` is called if they end by themselves.

    With `join`, the `host:port` of a bootstrap node, it is one more node of that DHT. Peers behind routers learn what
    their router does from nodes at several addresses.

    Raises `StartError` if they cannot be started.
    """
    modules = await ensure_installed(node, say=say)
    process = await asyncio.create_subprocess_exec(
        node_path(node),
        SOURCE / "bootstrap.js",
        host,
        str(port or _free_port(host)),
        *([join] if join else []),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=sys.stderr,
        env={**os.environ, "NODE_PATH": str(modules / "node_modules")},
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                line = await process.stdout.readline()
        except TimeoutError as error:
            raise StartError("The DHT node did not start in time.") from error
        if not line:
            raise StartError(f"The DHT node cannot listen on {host}:{port}; is the port taken?")
        watch = asyncio.create_task(process.wait())
        watch.add_done_callback(lambda _: on_end())
        yield msgspec.json.decode(line, type=DhtAddress)
    finally:
        process.stdin.close()  # its sign to end, as is our own end
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def _free_port(host: str) -> int:
    """A UDP port that is free now: a bootstrap node must be told its port, for that is part of its id."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port
