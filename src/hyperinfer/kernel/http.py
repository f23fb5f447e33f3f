"""An HTTP server as its settings have it."""

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hyperinfer.errors import ConfigError
from hyperinfer.facilities.http import Listen
from hyperinfer.kernel.config import home
from hyperinfer.kernel.settings import HttpSettings

if TYPE_CHECKING:
    from hyperinfer.facilities.http.tls import Certificate


def listen_of(http: HttpSettings, *, drain_s: float = 5.0) -> Listen:
    """Where such a server listens; `drain_s` is how long answers under way may take at its end.

    Raises `ConfigError` and `StartError` for a certificate that cannot be used.
    """
    return Listen(
        host=http.host,
        port=http.port,
        first_port=http.first_port,
        max_connections=http.max_connections,
        drain_s=drain_s,
        web_sockets=True,
        certificate=_certificate(http),
    )


def is_local(http: HttpSettings) -> bool:
    """Whether it can be reached from its own machine alone."""
    return is_loopback(http.host)


def is_loopback(host: str) -> bool:
    """Whether a server that listens at this address can be reached from its own machine alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def name_of(host: str) -> str:
    """The name in a `Host` header, without its port; empty if it makes no sense."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def is_address(name: str) -> bool:
    """Whether a name is an address in digits."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _certificate(http: HttpSettings) -> "Certificate | None":
    if not http.tls_certificate and not http.tls_key:
        return None
    for name in ("tls_certificate", "tls_key"):
        if not getattr(http, name):
            raise ConfigError(f"http.{name}: HTTPS needs a certificate and its key.", path=f"http.{name}")
    from hyperinfer.facilities.http.tls import Certificate

    return Certificate(home() / http.tls_certificate, home() / http.tls_key)
