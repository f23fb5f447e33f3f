"""What limits say, as rules to be counted by: request windows, token windows, and how many at a time."""

from dataclasses import dataclass
from functools import lru_cache

from hyperinfer.contracts.limits import Limits
from hyperinfer.protocol.limits.log import Window
from hyperinfer.protocol.limits.spans import DAY, MINUTE, MONTH, Kind

MINUTE_S = 60.0
HOUR_S = 3600.0
DEFAULT_INTERVAL_MINUTES = 60
"""What `requests_per_interval` counts in where nobody says how long an interval is."""


@dataclass(frozen=True, slots=True)
class RequestRule:
    """At most `window.requests` in any such window; `name` is the field of `Limits`."""

    name: str
    window: Window


@dataclass(frozen=True, slots=True)
class TokenRule:
    """At most `tokens` in each UTC minute, day or month."""

    name: str
    kind: Kind
    tokens: int


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules of a subject. `concurrent` is how many requests may be under way; null for any number."""

    requests: tuple[RequestRule, ...] = ()
    tokens: tuple[TokenRule, ...] = ()
    concurrent: int | None = None

    @property
    def has_any(self) -> bool:
        """Whether anything limits."""
        return bool(self.requests or self.tokens) or self.concurrent is not None

    @property
    def follows(self) -> bool:
        """Whether it matters when a request ends."""
        return bool(self.tokens) or self.concurrent is not None


@lru_cache(maxsize=4096)
def rules_of(limits: Limits) -> Rules:
    """The rules that limits make. Of two request limits over the same length the lower holds."""
    interval_s = (limits.interval_minutes or DEFAULT_INTERVAL_MINUTES) * MINUTE_S
    by_length: dict[float, RequestRule] = {}
    for name, length_s in (
        ("requests_per_minute", MINUTE_S),
        ("requests_per_hour", HOUR_S),
        ("requests_per_interval", interval_s),
    ):
        most: int | None = getattr(limits, name)
        before = by_length.get(length_s)
        if most is not None and (before is None or most < before.window.requests):
            by_length[length_s] = RequestRule(name, Window(most, length_s))
    kinds: tuple[Kind, ...] = (MINUTE, DAY, MONTH)
    tokens = ((f"tokens_per_{kind}", kind) for kind in kinds)
    return Rules(
        requests=tuple(by_length[length_s] for length_s in sorted(by_length)),
        tokens=tuple(
            TokenRule(name, kind, most) for name, kind in tokens if (most := getattr(limits, name)) is not None
        ),
        concurrent=limits.concurrent_requests,
    )


def share_of(limit: int, gateways: int) -> int:
    """What one of several gateways may admit of a limit: rounded up, so that no limit above 0 becomes none."""
    return -(-limit // gateways)
