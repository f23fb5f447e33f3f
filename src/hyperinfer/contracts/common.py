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
    `swarm` says what its process can reach: `local` (no driver), `online`, or `offline` and why.
    """

    status: str
    service: str
    version: str
    uptime_s: float
    reasons: tuple[str, ...] = ()
    swarm: str = ""


class MetricsText(Wire, frozen=True):
    """Metrics in Prometheus' text format."""

    text: str


PING = Method("ping", Nothing, Pong, PUBLIC)
HEALTH = Method("getServiceHealth", Nothing, Health, PUBLIC)
METRICS = Method("getMetrics", Nothing, MetricsText, ANY_MEMBER)

METHODS = (PING, HEALTH, METRICS)
