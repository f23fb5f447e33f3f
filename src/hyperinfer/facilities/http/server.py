"""uvicorn as an async context manager: in the loop that runs already, without signal handlers, drained at the end."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import structlog
import uvicorn
from starlette.types import ASGIApp

from hyperinfer.facilities.http.listen import BACKLOG, Listen, bind, url_of
from hyperinfer.facilities.http.protocol import BoundedProtocol

log = structlog.get_logger(__name__)

KEEP_ALIVE_S = 75
"""How long an idle connection is kept; longer than proxies and clients keep theirs, so that they close first."""


class _Server(uvicorn.Server):
    """uvicorn's server, which says when it listens, and leaves signals to the process."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


@contextlib.asynccontextmanager
async def serving(app: ASGIApp, listen: Listen) -> AsyncIterator[str]:
    """Serve an app for the length of the block and give its URL.

    Leaving stops accepting, lets answers under way end within `drain_s`, and cancels the rest.
    Raises `StartError` if the port cannot be had.
    """
    sock = await bind(listen)
    url = url_of(sock)
    if listen.port is None and sock.getsockname()[1] != listen.first_port:
        log.warning("port_taken", wanted=listen.first_port, url=url, setting=listen.setting)
    server = _Server(_config(app, listen))
    async with asyncio.TaskGroup() as group:
        running = group.create_task(server.serve([sock]), name=f"http {url}")
        await server.listening.wait()
        try:
            yield url
        finally:
            server.should_exit = True
            await asyncio.wait([running])
            await _end(server)


def _config(app: ASGIApp, listen: Listen) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="critical",  # what an app raises is logged once, by its own edge
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        limit_concurrency=listen.max_connections,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(1, round(listen.drain_s)),
    )


async def _end(server: uvicorn.Server) -> None:
    """Wait for what uvicorn has cancelled, and cut what is still connected."""
    tasks: list[asyncio.Task[Any]] = list(server.server_state.tasks)
    if tasks:
        log.warning("answers_cut", count=len(tasks))
        await asyncio.wait(tasks, timeout=1.0)
    for connection in list(server.server_state.connections):
        if connection.transport is not None:
            connection.transport.abort()
