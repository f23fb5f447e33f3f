"""The real platform in a thread of its own, reached by HTTP and across two drivers."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from hyperinfer import AsyncClient
from hyperinfer.facilities.net.hyperswarm import hyperswarm
from hyperinfer.facilities.net.settings import NetSettings
from hyperinfer.kernel import swarm as swarms
from hyperinfer.protocol.links import GatewayLink, SwarmLink
from hyperinfer.sdk.carriers.kept import Kept
from hyperinfer.sdk.thread import LoopThread
from hyperinfer.testing.eventually import eventually
from hyperinfer.testing.swarm import part, swarm
from hyperinfer.testing.testnet import local_dht
from hyperinfer.workers.auth.admin import create_admin
from hyperinfer.workers.auth.config import AuthSettings
from hyperinfer.workers.auth.worker import WORKER as AUTH
from hyperinfer.workers.gateway.worker import WORKER as GATEWAY
from hyperinfer.workers.inference.worker import WORKER as INFERENCE

PASSWORD = "correct horse battery"


class Platform:
    """Where it is: its address by each way, the net to reach it by, and an administrator's session."""

    def __init__(self, addresses: Mapping[str, str], net: NetSettings, admin: str) -> None:
        self.addresses = addresses
        self.net = net
        self.admin = admin

    def client(self, way: str, key: str | None = None, **options: Any) -> AsyncClient:
        return AsyncClient(self.addresses[way], api_key=self.admin if key is None else key, net=self.net, **options)


@asynccontextmanager
async def running(home: Path) -> AsyncIterator[Platform]:
    await create_admin(home / "data" / "auth", AuthSettings(), password=PASSWORD)
    parts = [
        part(AUTH, home=home),
        part(INFERENCE, home=home, llamacpp__enabled=False, echo__enabled=True, echo__token_s=0.01),
        part(GATEWAY, home=home, http__port=0, registration__swarm="invite"),
    ]
    async with local_dht() as settings, hyperswarm(settings) as net, swarm(parts, home=home, net=net) as workers:
        gateway, folder = workers["gateway"], home / "data" / "swarm"

        async def ready() -> bool:
            return not gateway.not_ready()

        await eventually(ready)
        root_key = swarms.root_public_key(folder)
        assert root_key is not None
        addresses = {
            "http": gateway.addresses["http"],
            "gateway": str(GatewayLink(gateway.public_key)),
            "swarm": str(SwarmLink(swarms.load(folder).key, root_key)),
        }
        async with AsyncClient(addresses["http"], api_key="") as stranger:
            session = await stranger.sessions.login("admin", PASSWORD)
        yield Platform(addresses, settings, session.access_token)


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    thread = LoopThread()
    kept = Kept(lambda: running(tmp_path_factory.mktemp("platform")), name="platform")
    try:
        yield thread.run(kept.open())
    finally:
        thread.run(kept.close())
        thread.close()
