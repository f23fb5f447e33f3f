"""The real platform over HTTP and over a swarm of its own, for clients in Node; and Node, to run scripts of `js/`."""

import asyncio
import json
import os
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.contract.node_clients.packages import project
from tests.contract.product import PASSWORD, Product

from hyperinfer.facilities.net.driver.install import node_path
from hyperinfer.facilities.net.hyperswarm import hyperswarm
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

DEADLINE_S = 50.0
MODELS: Mapping[str, Mapping[str, Any]] = {
    "echo": {},
    "slow": {"tokens": 100_000, "token_s": 0.005},
    "single": {"tokens": 100_000, "token_s": 0.005, "slots": 1},
    "brittle": {"fault": "in_mid_stream", "capabilities": ["chat"]},
    "long": {"tokens": 2000},
}

Run = Callable[..., Awaitable[str]]
"""Runs Node on what is in the application's folder: arguments, then variables of the environment."""


@dataclass(frozen=True)
class Place:
    """Where the platform is, by each way; `origin` is whose pages it lets in."""

    ways: dict[str, str]
    bootstrap: str
    product: Product


@asynccontextmanager
async def platform_at(home: Path, origin: str) -> AsyncIterator[Place]:
    await create_admin(home / "data" / "auth", AuthSettings(), password=PASSWORD)
    parts = [part(AUTH, home=home)]
    for rack, (name, temper) in enumerate(MODELS.items()):
        echo: dict[str, Any] = {f"echo__{key}": value for key, value in {"model": name, **temper}.items()}
        queue = 0 if name == "single" else 64
        common: dict[str, Any] = {"llamacpp__enabled": False, "echo__enabled": True, "queue": queue}
        parts.append(part(INFERENCE, home=home, rack=str(rack), **common, **echo))
    parts.append(
        part(GATEWAY, home=home, http__port=0, http__origins=(origin,), worker_wait_s=0.2, default_model="echo")
    )
    async with local_dht() as settings, hyperswarm(settings) as net, swarm(parts, home=home, net=net) as running:
        gateway, folder = running["gateway"], home / "data" / "swarm"
        product = Product(gateway.addresses["http"])
        login = await product.ask("POST", "/api/auth/login", {"username": "admin", "password": PASSWORD})
        product.key = login["access_token"]
        scopes = ["inference", "usage", "account", "admin"]
        product.key = (await product.ask("POST", "/api/auth/api-keys", {"scopes": scopes}))["key"]

        async def ready() -> bool:
            found = (await product.ask("GET", "/v1/models"))["data"]
            return len(found) >= len(MODELS) and not gateway.not_ready()

        await eventually(ready, timeout_s=30)
        root_key = swarms.root_public_key(folder)
        assert root_key is not None
        assert settings.bootstrap
        ways = {
            "http": product.url,
            "gateway": str(GatewayLink(gateway.public_key)),
            "swarm": str(SwarmLink(swarms.load(folder).key, root_key)),
        }
        yield Place(ways, settings.bootstrap[0], product)


@pytest.fixture(scope="session")
def app() -> Iterator[Path]:
    """Somebody's application, with all packages."""
    with project() as folder:
        yield folder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The platform, in a thread of its own."""
    thread = LoopThread()
    kept = Kept(lambda: platform_at(tmp_path_factory.mktemp("place"), "http://localhost:5173"), name="platform")
    try:
        yield thread.run(kept.open())
    finally:
        thread.run(kept.close())
        thread.close()


@pytest.fixture
def node(app: Path) -> Run:
    """Runs a script, and gives what it printed. Fails with that where the script fails."""

    async def run(*arguments: str | Path, **given: object) -> str:
        variables = {name: value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}
        process = await asyncio.create_subprocess_exec(
            node_path(),
            *arguments,
            cwd=app,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "NO_COLOR": "1", **variables},
        )
        try:
            async with asyncio.timeout(DEADLINE_S):
                output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        said = output.decode()
        assert process.returncode == 0, f"\n{said}"
        return said

    return run
