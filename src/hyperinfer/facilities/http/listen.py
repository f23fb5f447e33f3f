"""Which port an HTTP server gets: the one that was configured, or the first free one from a default on."""

import asyncio
import errno
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hyperinfer.errors import StartError

if TYPE_CHECKING:
    from hyperinfer.facilities.http.tls import Certificate

PORTS_TRIED = 100
BACKLOG = 1024
UNSENT_TIMEOUT_MS = 60_000
"""How long the system keeps a connection whose peer takes nothing more from us."""

WILDCARDS = frozenset({"", "0.0.0.0", "::"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Where to listen. `port` must be free if it is set (0 takes any); left out, `first_port` or the next free one.

    `setting` is what an operator changes to have another port; `drain_s` is how long a stopping server waits for
    answers under way; `max_connections` is the bound on open connections. `web_sockets` says whether
    the app speaks on those too.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    first_port: int = 3000
    setting: str = "http.port"
    max_connections: int = 2000
    drain_s: float = 5.0
    web_sockets: bool = False
    certificate: "Certificate | None" = None


async def bind(listen: Listen) -> socket.socket:
    """A listening socket by the port rule. Raises `StartError` saying which port is taken and what to change."""
    if listen.port is not None:
        return await _open(listen, listen.port)
    for port in range(listen.first_port, listen.first_port + PORTS_TRIED):
        try:
            return await _open(listen, port)
        except StartError as error:
            if not error.details.get("taken"):
                raise
    raise StartError(
        f"Every port from {listen.first_port} to {listen.first_port + PORTS_TRIED - 1} is taken on {listen.host}. "
        f"Set {listen.setting} to one that is free."
    )


def url_of(sock: socket.socket, certificate: "Certificate | None" = None) -> str:
    """The URL at which this machine reaches a listening socket: under the address if the certificate has it, else under the
    first name that it has."""
    host, port = sock.getsockname()[:2]
    if host in WILDCARDS:
        host = "127.0.0.1" if sock.family == socket.AF_INET else "::1"
    if certificate is not None and certificate.names and host not in certificate.names:
        host = certificate.names[0]
    scheme = "http" if certificate is None else "https"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


async def _open(listen: Listen, port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(
            listen.host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )
    except socket.gaierror as error:
        raise StartError(f"{listen.host} is not an address of this machine: {error.strerror}.") from error
    family, kind, protocol, _, address = found[0]
    sock = socket.socket(family, kind, protocol)
    try:
        _tune(sock)
        sock.bind(address)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        taken = error.errno == errno.EADDRINUSE
        reason = "it is taken by another program" if taken else str(error.strerror)
        raise StartError(
            f"Cannot listen on {listen.host}:{port}: {reason}. Set {listen.setting} to another port.", taken=taken
        ) from error
    return sock


def _tune(sock: socket.socket) -> None:
    """Options that accepted connections inherit; TCP_NODELAY is set on each by the event loop."""
    if hasattr(socket, "SO_REUSEADDR") and hasattr(socket, "AF_UNIX"):  # on Windows it means something else
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNSENT_TIMEOUT_MS)
