"""Settings of the net facility. Times in seconds."""

import msgspec


class NetSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How this process takes part in the swarm.

    `bootstrap` are the DHT's first nodes as `host:port`; left out, Hyperswarm's public ones. `host` is the address to
    bind to. `firewalled` is false for a machine that others reach without hole punching. `node` names another Node
    than the one installed with the product. With `driver` off only workers of this process reach each other.
    `punch_timeout_s` is how long a connection may take instead of `connect_timeout_s` where one side's router gives every
    flow another port, which then has to be guessed.
    """

    driver: bool = True
    node: str | None = None
    bootstrap: tuple[str, ...] | None = None
    host: str = "0.0.0.0"
    firewalled: bool = True
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
