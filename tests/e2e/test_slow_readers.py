"""Clients that read nothing of long answers cost memory only up to a bound, and nobody else's time."""

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from hyperinfer.testing.eventually import eventually

from .processes import Machine, machine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

CLIENTS = 100
TOKENS = 100_000
MOST_MB = 200
"""How much more memory all processes together may take: a client has a window of chunks on its way and the kernel's socket
buffers; had it all that is generated for it, that alone would be above 1,500 MB."""


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Machine]:
    talks = {"HYPERINFER_INFERENCE__ECHO__TOKENS": str(TOKENS)}
    with machine(tmp_path, "auth", "gateway", "inference", **talks) as one:
        yield one


def memory_mb(one: Machine) -> float:
    """What all processes hold, the drivers included."""
    processes = [psutil.Process(child.process.pid) for child in one.children.values()]
    processes += [child for process in processes for child in process.children(recursive=True)]
    return sum(process.memory_info().rss for process in processes) / 1e6


def stalled(one: Machine) -> socket.socket:
    """A client that asks for a long stream and reads nothing of it."""
    url = urlsplit(one.url)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect((url.hostname, url.port))
    body = json.dumps({"messages": [{"role": "user", "content": "hi"}], "stream": True}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: {url.netloc}\r\nAuthorization: Bearer {one.key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    client.sendall(head.encode() + body)
    return client


async def busy(one: Machine) -> int:
    """Slots that are taken."""
    _, body, _ = await asyncio.to_thread(one.call, "GET", "/api/workers")
    return sum(model["busy"] for worker in body["workers"] for model in worker["models"])


async def test_a_hundred_stalled_clients_cost_little_and_hold_up_nobody(processes: Machine) -> None:
    before_mb = memory_mb(processes)
    with ExitStack() as stack:
        for _ in range(CLIENTS):
            stack.enter_context(stalled(processes))
        most_mb = 0.0
        for _ in range(20):
            await asyncio.sleep(0.5)
            most_mb = max(most_mb, memory_mb(processes))
        assert await busy(processes) == CLIENTS
        status, answer, _ = await asyncio.to_thread(
            processes.call,
            "POST",
            "/v1/chat/completions",
            {"messages": [{"role": "user", "content": "x"}], "max_tokens": 5},
        )
        assert status == 200, answer
        grown_mb = most_mb - before_mb
        assert grown_mb < MOST_MB, f"{before_mb:.0f} MB became {most_mb:.0f} MB"

    async def idle() -> bool:
        return not await busy(processes)

    await eventually(idle, timeout_s=10)
