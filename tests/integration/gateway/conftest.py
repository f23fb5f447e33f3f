"""A gateway with auth and inference workers that do what the test says, over the memory net, spoken to over HTTP."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import aiohttp

from hyperinfer.contracts.gateway import SwarmWorker
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.facilities.net import Net
from hyperinfer.facilities.net.memory import MemoryNet
from hyperinfer.kernel.compose import Part, Running, running
from hyperinfer.kernel.own_swarm import prepare
from hyperinfer.testing.auth import FakeAuth
from hyperinfer.testing.eventually import eventually
from hyperinfer.testing.inference import FakeInference
from hyperinfer.testing.swarm import part
from hyperinfer.workers.gateway.worker import WORKER

BODY: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


class House:
    """A gateway and what is around it; `http` asks it with the key of `ada`. Each worker stops and starts by name."""

    def __init__(self, home: Path, nets: Mapping[str, Net], auth: FakeAuth, parts: dict[str, Part]) -> None:
        self.home = home
        self.net = MemoryNet()
        self._nets = nets
        self.auth = auth
        self.key = auth.person("ada")
        self.running: dict[str, Running] = {}
        self.http: aiohttp.ClientSession
        self._parts = parts
        self._stops: dict[str, AsyncExitStack] = {}

    async def start(self, name: str) -> None:
        stack = self._stops[name] = AsyncExitStack()
        [self.running[name]] = await stack.enter_async_context(
            running([self._parts[name]], home=self.home, net=self._nets.get(name, self.net))
        )

    async def stop(self, name: str) -> None:
        """Stop a worker in good order."""
        await self._stops.pop(name).aclose()

    async def kill(self, name: str) -> None:
        """Cut a worker off without a word."""
        await self.net.endpoints[self.running[name].public_key].close()

    async def close(self) -> None:
        for name in reversed(tuple(self._stops)):
            await self.stop(name)

    @property
    def url(self) -> str:
        return self.running["gateway"].addresses["http"]

    async def workers(self) -> list[SwarmWorker]:
        async with self.http.get("/api/workers") as reply:
            rows = (await reply.json())["workers"]
        return [SwarmWorker(**row) for row in rows]

    async def until_seen(self, **states: str) -> None:
        """Wait until the gateway sees workers in these states; a name's `-` is written `_`."""
        wanted = {name.replace("_", "-"): state for name, state in states.items()}

        async def seen() -> bool:
            return wanted.items() <= {worker.name: worker.state for worker in await self.workers()}.items()

        await eventually(seen, timeout_s=15)

    async def chat(self, *, key: str | None = None, **changes: Any) -> tuple[int, Any]:
        """Ask for a whole answer; gives status and body."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        async with self.http.post("/v1/chat/completions", json=BODY | changes, headers=headers) as reply:
            return reply.status, await reply.json()

    async def stream(self, **changes: Any) -> tuple[int, str]:
        """Ask for a streamed answer; gives status and text."""
        async with self.http.post("/v1/chat/completions", json=BODY | changes | {"stream": True}) as reply:
            return reply.status, await reply.text()


@asynccontextmanager
async def house(
    home: Path,
    *inferences: FakeInference,
    auth: FakeAuth | None = None,
    nets: Mapping[str, Net] = MappingProxyType({}),
    **settings: Any,
) -> AsyncIterator[House]:
    """Run a gateway, `auth`, and `inference-0`, `inference-1`, …; `settings` are the gateway's.

    All are on one memory net, but for those that `nets` gives another.
    """
    auth = auth or FakeAuth()
    parts = {
        "auth": part(auth.worker(), home=home),
        "gateway": part(WORKER, home=home, http__port=0, **settings),
        **{
            f"inference-{number}": part(one.worker(), home=home, rack=str(number))
            for number, one in enumerate(inferences)
        },
    }
    prepare(tuple(parts.values()), home=home, now=SystemClock().now())
    one = House(home, nets, auth, parts)
    try:
        for name in parts:
            await one.start(name)
        async with aiohttp.ClientSession(one.url, headers={"Authorization": f"Bearer {one.key}"}) as one.http:
            await one.until_seen(**{name.replace("-", "_"): "ready" for name in parts if name.startswith("inference")})
            yield one
    finally:
        await one.close()
