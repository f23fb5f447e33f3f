"""The methods that every worker answers, and what a health reply looks like."""

from hyperinfer.contracts.method import ANY_MEMBER, PUBLIC, Method, Nothing, Wire


class Pong(Wire, frozen=True, omit_defaults=False):
    """`timestamp` is in milliseconds since the epoch."""

    status: str
    timestamp: int
    service: str


class Health(Wire, frozen=True, omit_defaults=False):
    """Whether a worker can serve, and why not.

    `status` is `ready`, `starting`, `degraded` (serves, but something is away) or `draining`; `reasons` are sentences.
    `swarm` says what its process can reach: `local` (no driver), `online`, or `offline` and why. `process` is the same
    for workers of one process, and another one after every start.
    """

    status: str
    service: str
    version: str
    uptime_s: float
    reasons: tuple[str, ...] = ()
    swarm: str = ""
    process: str = ""


class PeerLink(Wire, frozen=True, omit_defaults=False):
    """How one worker reaches another. `key` is hex, `name` and `roles` as the member list has them.

    `how` is `here` (the same process), `direct`, `punched` (through routers), `relayed` or `none`; then `reason` says why not:
    `offline`, `not_announced`, `refused`, `not_punched`, `no_answer`, or `not_tried`, `trouble` in a sentence, and `do` what helps. `since`
    is when that began (RFC 3339); in `next_try_s` it may be tried again. Bytes are what went over the present connection. `inbound` is one
    that the peer has made. `router` and `remote_router` are what the routers of both sides do, as far as that was seen in
    connecting: `none`, `steady` (keeps its ports), `random` (gives every flow another) or `unknown`.
    """

    key: str
    name: str
    roles: tuple[str, ...]
    how: str
    reason: str = ""
    trouble: str = ""
    since: str | None = None
    round_trip_s: float | None = None
    sent_bytes: int = 0
    received_bytes: int = 0
    inbound: bool = False
    do: str = ""
    next_try_s: float | None = None
    router: str = ""
    remote_router: str = ""


class PeerLinks(Wire, frozen=True, omit_defaults=False):
    """The connections of one worker, and every member that it has none to. Of `strangers`, who are no members, the newest are
    among the links, without a name.

    `swarm` says what its process can reach, `router` what stands between it and the others, `address` how the DHT sees its machine, empty
    where that is not known.
    """

    links: tuple[PeerLink, ...] = ()
    strangers: int = 0
    swarm: str = ""
    router: str = ""
    address: str = ""


class MetricsText(Wire, frozen=True):
    """Metrics in Prometheus' text format."""

    text: str


PING = Method("ping", Nothing, Pong, PUBLIC, quiet=True)
HEALTH = Method("getServiceHealth", Nothing, Health, PUBLIC, quiet=True)
METRICS = Method("getMetrics", Nothing, MetricsText, ANY_MEMBER, quiet=True)
LINKS = Method("getLinks", Nothing, PeerLinks, ANY_MEMBER, quiet=True)

METHODS = (PING, HEALTH, METRICS, LINKS)
