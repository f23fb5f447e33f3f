"""Reverse proxies that an operator trusts, and who asks through them: nobody else's word is taken for it."""

import ipaddress
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from starlette.types import Scope

from hyperinfer.errors import ConfigError

Address = IPv4Address | IPv6Address

SOCKETS = frozenset({"ws", "wss"})
MAX_HOPS = 16
"""Proxies in a row that are looked through."""
SECURE = {b"https": True, b"wss": True, b"http": False, b"ws": False}
"""What `X-Forwarded-Proto` may be, and whether that is over TLS."""


class Proxies:
    """Proxies by address or network. Raises `ConfigError` for what is neither."""

    def __init__(self, trusted: Iterable[str]) -> None:
        self._networks = tuple(map(_network, trusted))

    def __bool__(self) -> bool:
        return bool(self._networks)

    def look_through(self, scope: Scope) -> None:
        """Put who really asks, and by which scheme, into a request that a trusted proxy has passed on.

        Of `X-Forwarded-For` the right-most address is meant that is no trusted proxy's: what stands left of it, whoever
        asks may have written. `X-Forwarded-Proto` is what the nearest proxy says.
        """
        client = scope.get("client")
        nearest = _address(client[0].encode()) if client else None
        if nearest is None or not self._trusts(nearest):
            return
        scope["client"] = (str(self._asking(nearest, _values(scope, b"x-forwarded-for"))), 0)
        said = _values(scope, b"x-forwarded-proto")
        secure = SECURE.get(said[-1].lower()) if said else None
        if secure is not None:
            plain = "ws" if scope["scheme"] in SOCKETS else "http"
            scope["scheme"] = f"{plain}s" if secure else plain

    def _asking(self, nearest: Address, hops: Sequence[bytes]) -> Address:
        """The first that is no trusted proxy, going back from the nearest; the last one that is known, if all are."""
        found = nearest
        for hop in hops[: -MAX_HOPS - 1 : -1]:
            address = _address(hop)
            if address is None:
                break
            found = address
            if not self._trusts(address):
                break
        return found

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise ConfigError(
            f'http.trusted_proxies: {text!r} is no address or network; write it as "10.0.0.5" or "10.0.0.0/8".',
            path="http.trusted_proxies",
        ) from error


def _values(scope: Scope, name: bytes) -> list[bytes]:
    """The values of a list that may stand in several headers, in their order."""
    return [part.strip() for found, value in scope["headers"] if found == name for part in value.split(b",")]


def _address(text: bytes) -> Address | None:
    """An address as proxies write it: with a port or without, in brackets or without; an IPv4 address in IPv6 is itself."""
    written = text.decode("latin-1").strip('"')
    if written.startswith("["):
        written = written[1:].partition("]")[0]
    elif written.count(":") == 1:
        written = written.partition(":")[0]
    try:
        address = ipaddress.ip_address(written)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
