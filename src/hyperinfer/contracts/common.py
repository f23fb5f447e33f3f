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
    `offline`, `not_announced`, `refused`, `not_punched`, `no_answer`, or `not_tried`, and `trouble` in a sentence. `since` is when that
    began (RFC 3339). Bytes are what went over the present connection. `inbound` is one that the peer has made.
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


class PeerLinks(Wire, frozen=True, omit_defaults=False):
    """The connections of one worker, and every member that it has none to but has looked for."""

    links: tuple[PeerLink, ...] = ()


class MetricsText(Wire, frozen=True):
    """Metrics in Prometheus' text format."""

    text: str


PING = Method("ping", Nothing, Pong, PUBLIC, quiet=True)
HEALTH = Method("getServiceHealth", Nothing, Health, PUBLIC, quiet=True)
METRICS = Method("getMetrics", Nothing, MetricsText, ANY_MEMBER, quiet=True)
LINKS = Method("getLinks", Nothing, PeerLinks, ANY_MEMBER, quiet=True)

METHODS = (PING, HEALTH, METRICS, LINKS)
