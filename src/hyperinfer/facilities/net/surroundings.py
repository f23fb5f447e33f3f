"""What this machine sees of the DHT, and what stands between the two: asked by a node that lives for a moment."""

import asyncio
import os
from collections.abc import Collection
from typing import Literal

import msgspec
import psutil

from hyperinfer.errors import StartError
from hyperinfer.facilities.net.driver.install import SOURCE, folder, node_path
from hyperinfer.facilities.net.settings import NetSettings

LOOK_S = 6.0
END_S = 6.0
"""What starting the node, and its end, may take beside looking."""
MAX_SAID = 300
ENOUGH_ADDRESSES = 2
"""To nodes at one address every router looks as if it kept its ports."""

Router = Literal["none", "steady", "random", "unknown"]
"""None between; one that keeps an outer port for an inner one; one that gives every flow another; not to be told."""


class Surroundings(msgspec.Struct, frozen=True):
    """`nodes` of the DHT that answered, at how many `addresses`, and how this machine looks to them: `host` is empty where they
    do not agree on it or are too few, `port` 0 where each sees another one."""

    nodes: int
    addresses: int
    host: str | None
    port: int

    def router(self, own: Collection[str]) -> Router:
        """What stands between, where this machine has these addresses itself."""
        if not self.host:
            return "unknown"
        if self.host in own:
            return "none"
        if self.port == 0:
            return "random"
        return "steady" if self.addresses >= ENOUGH_ADDRESSES else "unknown"


def own_addresses() -> frozenset[str]:
    """The addresses that this machine has itself."""
    return frozenset(address.address for there in psutil.net_if_addrs().values() for address in there)


async def look(settings: NetSettings, *, look_s: float = LOOK_S) -> Surroundings:
    """Take part in the DHT for as long as it takes to see it, `look_s` at most. The driver has to be installed.

    Raises `StartError` if Node or the driver's packages do not run.
    """
    process = await asyncio.create_subprocess_exec(
        node_path(settings.node),
        SOURCE / "look.js",
        msgspec.json.encode({"bootstrap": settings.bootstrap, "host": settings.host, "wait": 1000 * look_s}),
        stdin=asyncio.subprocess.PIPE,  # it ends when we do, however we end
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "NODE_PATH": str(folder() / "node_modules")},
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with asyncio.timeout(look_s + END_S):
            line = await process.stdout.readline()
            said = b"" if line else await process.stderr.read(MAX_SAID)
    except TimeoutError as error:
        raise StartError("The swarm driver's Node says nothing.") from error
    finally:
        process.stdin.close()
        if process.returncode is None:
            process.kill()
        await process.wait()
    try:
        return msgspec.json.decode(line, type=Surroundings)
    except msgspec.DecodeError as error:
        raise StartError(f"The swarm driver does not run: {_reason(said.decode(errors='replace'))}.") from error


def _reason(said: str) -> str:
    """The line of Node's that says what is wrong, without the trace about it."""
    lines = said.splitlines()
    return next((line.strip().rstrip(".") for line in lines if "Error: " in line), "it ended without a word")
