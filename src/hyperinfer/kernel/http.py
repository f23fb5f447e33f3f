"""An HTTP server as its settings have it."""

import ipaddress

from hyperinfer.facilities.http import Listen
from hyperinfer.kernel.settings import HttpSettings


def listen_of(http: HttpSettings, *, drain_s: float = 5.0) -> Listen:
    """Where such a server listens; `drain_s` is how long answers under way may take at its end."""
    return Listen(
        host=http.host,
        port=http.port,
        first_port=http.first_port,
        max_connections=http.max_connections,
        drain_s=drain_s,
        web_sockets=True,
    )


def is_local(http: HttpSettings) -> bool:
    """Whether it can be reached from its own machine alone."""
    try:
        return ipaddress.ip_address(http.host.strip("[]")).is_loopback
    except ValueError:
        return http.host == "localhost"
