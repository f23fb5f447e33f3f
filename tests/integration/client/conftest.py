"""A bridge on a machine outside the swarm, before a gateway whose auth and inference workers do what the test says."""

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from tests.integration.gateway.conftest import House

from hyperinfer.kernel.compose import Running, running
from hyperinfer.protocol.links import GatewayLink
from hyperinfer.testing.swarm import part
from hyperinfer.workers.client.reach import Gone, Reached
from hyperinfer.workers.client.worker import Lender, client

BODY: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}]}


class Bridged:
    """A bridge as somebody sees it who asks it over HTTP; `news` is what it told of its gateway."""

    def __init__(self) -> None:
        self.news: list[Reached | Gone] = []
        self.http: aiohttp.ClientSession
        self.worker: Running

    async def chat(self, key: str | None = None, **more: Any) -> tuple[int, Any]:
        """Ask for a whole answer; gives status and body."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        body = io.BytesIO(json.dumps(BODY | more).encode())
        async with self.http.post("/v1/chat/completions", data=body, headers=headers) as reply:
            return reply.status, await reply.json()

    async def stream(self, key: str) -> str:
        """Ask for a streamed answer; gives its text."""
        headers = {"Authorization": f"Bearer {key}"}
        async with self.http.post("/v1/chat/completions", json=BODY | {"stream": True}, headers=headers) as reply:
            assert reply.status == 200
            return await reply.text()

    async def get(self, path: str, *, verb: str = "GET", **headers: str) -> tuple[int, str]:
        """Ask for a path; gives status and text."""
        async with self.http.request(verb, path, headers=headers) as reply:
            return reply.status, await reply.text()


def link_of(house: House) -> str:
    return str(GatewayLink(house.running["gateway"].public_key))


@asynccontextmanager
async def bridged(
    house: House, home: Path, *, gateway: str | None = None, lender: Lender | None = None, **settings: Any
) -> AsyncIterator[Bridged]:
    """Run a bridge to the house's gateway, with a home of its own."""
    one = Bridged()
    kind = client(tell=one.news.append) if lender is None else client(tell=one.news.append, lender=lender)
    told: dict[str, Any] = {
        "http__port": 0,
        "wait_s": 0.3,
        "gateway": link_of(house) if gateway is None else gateway,
    } | settings
    async with (
        running([part(kind, home=home, **told)], home=home, net=house.net) as [one.worker],
        aiohttp.ClientSession(one.worker.addresses["http"], connector=aiohttp.TCPConnector(limit=0)) as one.http,
    ):
        yield one
