"""A real DHT on loopback for tests, and net settings that use it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from hyperinfer.facilities.net.dht import dht
from hyperinfer.facilities.net.settings import NetSettings

HOST = "127.0.0.1"


@asynccontextmanager
async def local_dht() -> AsyncIterator[NetSettings]:
    """Run a local DHT for the length of the block; gives the settings of a net that uses it."""
    async with dht(host=HOST, port=0) as address:
        yield NetSettings(bootstrap=(address.bootstrap,), host=HOST, firewalled=False)


def quick(settings: NetSettings) -> NetSettings:
    """The same with short waits, for tests of what happens after them."""
    return msgspec.structs.replace(settings, heartbeat_s=0.5, connect_timeout_s=3.0, stall_timeout_s=0.5)
