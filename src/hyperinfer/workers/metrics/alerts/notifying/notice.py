"""What is told at once: alerts that fire and alerts that are over."""

import msgspec

from hyperinfer.contracts.metrics import Alert

RANKS = {"critical": 0, "warning": 1, "info": 2}


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """Alerts to be told together, the most severe first. `at` is when, in RFC 3339; a notice that is sent twice has the same `id`."""

    id: str
    at: str
    firing: tuple[Alert, ...] = ()
    resolved: tuple[Alert, ...] = ()

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """All of them."""
        return (*self.firing, *self.resolved)


def by_severity(alerts: tuple[Alert, ...]) -> tuple[Alert, ...]:
    """The most severe first, then the oldest."""
    return tuple(sorted(alerts, key=lambda alert: (RANKS[alert.severity], alert.since)))
