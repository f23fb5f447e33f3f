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
from hyperinfer.facilities.http.sockets import FIRST_BYTES, PING_EVERY_S, PONG_WITHIN_S, BoundedSocket
from hyperinfer.facilities.tasks import unwrapped

log = structlog.get_logger(__name__)

KEEP_ALIVE_S = 75
"""How long an idle connection is kept; longer than proxies and clients keep theirs, so that they close first."""
POLL_S = 0.01
"""How often a stopping server looks whether it is idle."""
CUT_S = 1.0
"""How long what has been cancelled may take to end."""
HANDSHAKE_S = 10.0
"""How long a client may take to agree on encryption."""
FAREWELL_S = 1.0
"""How long a client may take to say that it has seen the end of an encrypted connection."""
NAMES = "hyperinfer.names"
"""Where the `state` of an app's scope has the names of our certificate."""


class _Server(uvicorn.Server):
    """uvicorn's server with a start and an end that can be waited for; signals are left to the process."""

    def __init__(self, config: uvicorn.Config, listen: Listen) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()
        self._stopping = asyncio.Event()
        self._drain_s = listen.drain_s
        self._certificate = listen.certificate

    def stop(self) -> None:
        """Begin the end."""
        self._stopping.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        certificate = self._certificate
        state = {NAMES: frozenset(certificate.names) if certificate else frozenset()}
        tls: dict[str, Any] = {}
        if certificate:
            tls = {"ssl": certificate.context, "ssl_handshake_timeout": HANDSHAKE_S, "ssl_shutdown_timeout": FAREWELL_S}

        def connection() -> BoundedProtocol:
            return BoundedProtocol(config=self.config, server_state=self.server_state, app_state=state)

        loop = asyncio.get_running_loop()
        self.servers = [
            await loop.create_server(connection, sock=sock, backlog=BACKLOG, **tls) for sock in sockets or ()
        ]
        self.started = True
        self.listening.set()

    async def main_loop(self) -> None:
        """Keep the date header right until told to stop."""
        while not self._stopping.is_set():
            await self.on_tick(0)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more, let answers under way end within the deadline, cut the rest."""
        for server in self.servers:
            server.close()
        state = self.server_state
        for connection in list(state.connections):
            connection.shutdown()
        if not await self._until_idle(self._drain_s):
            log.warning("answers_cut", count=len(state.tasks))
            for task in list(state.tasks):
                task.cancel()
            await self._until_idle(CUT_S)  # an app may still say why
            for connection in list(state.connections):
                connection.transport.abort()
            await self._until_idle(CUT_S)

    async def _until_idle(self, timeout_s: float) -> bool:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while self.server_state.connections or self.server_state.tasks:
            if loop.time() >= deadline:
                return False
            await asyncio.sleep(POLL_S)
        return True


@contextlib.asynccontextmanager
async def serving(app: ASGIApp, listen: Listen) -> AsyncIterator[str]:
    """Serve an app for the length of the block and give its URL.

    Leaving stops accepting, lets answers under way end within `drain_s`, and cancels the rest.
    Raises `StartError` if the port cannot be had.
    """
    sock = await bind(listen)
    url = url_of(sock, listen.certificate)
    if listen.port is None and sock.getsockname()[1] != listen.first_port:
        log.warning("port_taken", wanted=listen.first_port, url=url, setting=listen.setting)
    server = _Server(_config(app, listen), listen)
    with unwrapped():
        async with asyncio.TaskGroup() as group:
            running = group.create_task(server.serve([sock]), name=f"http {url}")
            await server.listening.wait()
            try:
                yield url
            finally:
                server.stop()
                await asyncio.wait([running])


def _config(app: ASGIApp, listen: Listen) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws=BoundedSocket if listen.web_sockets else "none",
        ws_max_size=FIRST_BYTES,
        ws_ping_interval=PING_EVERY_S,
        ws_ping_timeout=PONG_WITHIN_S,
        ws_per_message_deflate=False,  # a kilobyte may become a gigabyte
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
    )
