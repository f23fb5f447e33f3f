"""The swarm as a carrier: a gateway that a `hyper://` link names, and every HTTP route served before it in this process.

So what works over HTTP works over the swarm, by the same code at both ends, and no port is opened for it.
"""

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from hyperinfer.edge.app import create_app
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.facilities.log import log_as_library
from hyperinfer.facilities.net import Net
from hyperinfer.facilities.net.hyperswarm import hyperswarm
from hyperinfer.facilities.net.memory import MemoryNet
from hyperinfer.facilities.net.peers import Peers
from hyperinfer.facilities.net.settings import NetSettings
from hyperinfer.kernel.config import COMMON, load
from hyperinfer.kernel.gateways import LinkedGateway
from hyperinfer.kernel.identity import SEED_BYTES, from_seed
from hyperinfer.kernel.settings import HttpSettings, WorkerSettings
from hyperinfer.protocol import links
from hyperinfer.sdk.carriers.inprocess import Exchange, InProcess
from hyperinfer.sdk.carriers.kept import Kept

REQUEST_TIMEOUT_S = 3600.0
"""The client's own deadlines end a request long before; a stream may last as long as a gateway lets any call last."""

Say = Callable[[str], None]
OPENED = "a carrier is opened before it carries"
OpenNet = Callable[[NetSettings, Say], AbstractAsyncContextManager[Net]]


class Swarm:
    """A gateway at a `hyper://` address, under an identity of this moment: the account is told by the credential alone.

    While the gateway is away, a request waits for it, up to `wait_s`. `settings` left out are those that workers of this
    machine have in common.
    """

    def __init__(
        self,
        address: str,
        *,
        wait_s: float,
        settings: NetSettings | None = None,
        say: Say = lambda _: None,
        open_net: OpenNet | None = None,
    ) -> None:
        self._link = links.parse(address)
        self._wait_s = wait_s
        self._settings = settings
        self._say = say
        self._open_net = open_net or net_of
        self._kept = Kept(self._opened, name="hyperinfer swarm")
        self._gateway: LinkedGateway | None = None
        self._app: InProcess | None = None

    async def open(self) -> None:
        """Start the swarm driver, installed now if it never was; no gateway is looked for yet. Raises `StartError`."""
        log_as_library()
        self._gateway = await self._kept.open()
        self._app = InProcess(
            create_app(self._gateway, HttpSettings(), request_timeout_s=REQUEST_TIMEOUT_S, metrics=False)
        )

    async def close(self) -> None:
        """Hang up and end the driver."""
        if self._app is not None:
            await self._app.close()
        await self._kept.close()

    async def reach(self) -> None:
        """Find a gateway, and have it prove that it is one, unless that is done. Raises `PeerUnreachable`."""
        assert self._gateway is not None, OPENED
        await self._gateway.reach(self._wait_s)

    async def exchange(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Exchange:
        """Send a request and wait for the head of its reply."""
        assert self._app is not None, OPENED
        return await self._app.exchange(method, target, headers, body)

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[LinkedGateway]:
        settings = self._settings or load(COMMON, WorkerSettings).settings.net
        clock = SystemClock()
        async with self._open_net(settings, self._say) as net:
            endpoint = await net.open(from_seed(os.urandom(SEED_BYTES)))
            try:
                async with Peers(endpoint, clock=clock, settings=settings) as peers:
                    yield LinkedGateway(self._link, peers=peers, clock=clock, wait_s=self._wait_s)
            finally:
                await endpoint.close()


@asynccontextmanager
async def net_of(settings: NetSettings, say: Say) -> AsyncIterator[Net]:
    """The net of this process. Raises `StartError` if the driver cannot be had."""
    if not settings.driver:
        yield MemoryNet()
        return
    async with hyperswarm(settings, say=say) as net:
        yield net
