"""Settings of the net facility. Times in seconds."""

import ipaddress

import msgspec

LOCAL = tuple(
    map(
        ipaddress.ip_network,
        ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10"),
    )
)
"""Addresses of one machine, one site or one overlay network (RFC 1918, 3927, 6598); the stack speaks IPv4."""


class NetSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How this process takes part in the swarm.

    `bootstrap` are the DHT's first nodes as `host:port`; left out, Hyperswarm's public ones. `host` is the address to
    bind to. `firewalled` is false for a machine that others reach without hole punching; left out, it is where every bootstrap
    node is of the same site. `node` names another Node than the one installed with the product. With `driver` off only workers of this process reach each other.
    `punch_timeout_s` is how long a connection may take instead of `connect_timeout_s` where one side's router gives every
    flow another port, which then has to be guessed.
    """

    driver: bool = True
    node: str | None = None
    bootstrap: tuple[str, ...] | None = None
    host: str = "0.0.0.0"
    firewalled: bool | None = None
    announce_plain: bool = False
    announce_interval_s: float = 300.0
    lookup_timeout_s: float = 5.0
    lookup_cache_s: float = 300.0
    connect_timeout_s: float = 10.0
    punch_timeout_s: float = 40.0
    heartbeat_s: float = 2.0
    stall_timeout_s: float = 60.0
    max_links: int = 1024
    max_stranger_connections: int = 256
    max_stranger_connections_per_host: int = 32

    @property
    def behind_router(self) -> bool:
        """Whether others reach this machine by hole punching alone.

        Where all nodes of the DHT are at addresses of one's own site, no router stands between; nor could what it does be
        learned from them: every connection would wait in vain for that.
        """
        if self.firewalled is not None:
            return self.firewalled
        return self.bootstrap is None or not all(map(_is_local, self.bootstrap))


def _is_local(node: str) -> bool:
    """Whether `host:port` is an address of this machine or its site."""
    try:
        address = ipaddress.ip_address(node.rpartition(":")[0].strip("[]"))
    except ValueError:
        return False
    return any(address in network for network in LOCAL)
