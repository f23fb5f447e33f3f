"""The whole product in one process, with a model that echoes slowly enough to be cancelled, and its `/ws`."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from hyperinfer.kernel.compose import Running
from hyperinfer.testing.eventually import eventually
from hyperinfer.testing.swarm import part, swarm
from hyperinfer.workers.auth.admin import create_admin
from hyperinfer.workers.auth.config import AuthSettings
from hyperinfer.workers.auth.worker import WORKER as AUTH
from hyperinfer.workers.gateway.worker import WORKER as GATEWAY
from hyperinfer.workers.inference.worker import WORKER as INFERENCE

PASSWORD = "correct horse battery"
SOCKETS = 200
WORDS = 12
"""Of one answer."""
SLOTS = 250
"""Less than all conversations at once: many of them wait for their turn."""
MIB = 1024 * 1024
MOST_BYTES = 150 * MIB
"""By how much the process may grow with all sockets, both ends of which it holds where the client is Python."""


@dataclass(frozen=True)
class House:
    """What runs; `http` asks it with the key."""

    workers: Mapping[str, Running]
    http: aiohttp.ClientSession
    key: str

    @property
    def url(self) -> str:
        return self.workers["gateway"].addresses["http"]

    @property
    def ws(self) -> str:
        return self.url.replace("http://", "ws://") + "/ws"

    async def busy(self) -> int:
        """Slots that are taken and requests that wait for one, as the worker says, and what the gateway has under way."""
        async with self.http.get("/api/workers") as reply:
            [worker] = (await reply.json())["workers"]
        [model] = worker["models"]
        return int(model["busy"] + model["queued"] + worker["in_flight"])

    async def until_idle(self, *, timeout_s: float = 5.0) -> None:
        async def idle() -> bool:
            return await self.busy() == 0

        await eventually(idle, timeout_s=timeout_s)


@asynccontextmanager
async def house(home: Path, *, token_s: float = 0.01, **gateway: Any) -> AsyncIterator[House]:
    """Run auth, a worker with the model `echo` and a gateway; `gateway` are its settings."""
    await create_admin(home / "data" / "auth", AuthSettings(), password=PASSWORD)
    echo: dict[str, Any] = {"echo__enabled": True, "echo__slots": SLOTS, "echo__token_s": token_s, "queue": 4096}
    parts = [
        part(AUTH, home=home),
        part(INFERENCE, home=home, llamacpp__enabled=False, **echo),
        part(GATEWAY, home=home, http__port=0, **gateway),
    ]
    async with swarm(parts, home=home) as running:

        async def ready() -> bool:
            return not running["gateway"].not_ready()

        await eventually(ready)
        async with aiohttp.ClientSession(running["gateway"].addresses["http"]) as http:
            async with http.post("/api/auth/login", json={"username": "admin", "password": PASSWORD}) as reply:
                session = (await reply.json())["access_token"]
            http.headers["Authorization"] = f"Bearer {session}"
            async with http.post("/api/auth/api-keys", json={"name": "ws"}) as reply:
                key = (await reply.json())["key"]
            yield House(running, http, key)


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as one:
        yield one


def said(number: int, conversation: str) -> str:
    """What a conversation is to echo: its own text, and long enough to be cancelled."""
    return " ".join(f"s{number}{conversation}w{word}" for word in range(WORDS))


def start(conversation: str, text: str, *, model: str = "echo") -> str:
    request = {"model": model, "messages": [{"role": "user", "content": text}]}
    return json.dumps({"type": "start", "id": conversation, "request": request})


def memory_bytes() -> int:
    """What this process takes, in which the whole product runs."""
    return int(psutil.Process().memory_info().rss)


def show(capsys: pytest.CaptureFixture[str], client: str, took_s: float, grown_bytes: int) -> None:
    """Show what came of all sockets at once, whose memory must be bounded."""
    text = f"{client}: {SOCKETS} sockets, {3 * SOCKETS} conversations, {took_s:.1f} s, {grown_bytes / MIB:.0f} MiB more"
    with capsys.disabled():
        print(f"\n{text}")  # noqa: T201 - figures are what it is for
    assert grown_bytes < MOST_BYTES
