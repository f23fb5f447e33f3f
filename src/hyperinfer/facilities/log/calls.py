"""The line that each call leaves: which method, how it ended, how long it took, whose request it was, and what was noted."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from hyperinfer.facilities.labels import Labels
from hyperinfer.facilities.log.fields import FIELDS, MAX_FIELDS, name
from hyperinfer.facilities.log.redaction import HIDDEN, without_secrets

EVENT = "call"
NUMBERS = frozenset({int, float, bool})
"""Types whose values any field may have."""
FAULTS = frozenset({"INTERNAL", "BACKEND_FAILED", "REMOTE", "PEER_LOST", "DRIVER_LOST", "STREAM_STALLED"})
"""How calls end that did not end well by no fault of their callers."""


def timestamp(at_s: float) -> str:
    """Seconds since the epoch as every line has them: RFC 3339 in UTC, always as long, so that texts compare as times do."""
    whole_s = int(at_s)
    return f"{_second(whole_s)}.{int((at_s - whole_s) * 1e6):06}Z"


@lru_cache(8)
def _second(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat()[:-6]


class Ended(NamedTuple):
    """A call that has ended, as it waits to be written: making a line of it is left to whoever writes. Its labels are words, which
    `kernel.observation` has seen to."""

    at_s: float
    method: str
    status: str
    duration_s: float
    labels: Labels
    facts: dict[str, Any]

    @property
    def level(self) -> str:
        """A call that failed by a fault of ours is a warning."""
        return "warning" if self.status in FAULTS else "info"

    def event(self) -> dict[str, Any]:
        """Its line, with what may be shown."""
        labels = self.labels
        event = {
            "timestamp": timestamp(self.at_s),
            "level": self.level,
            "event": EVENT,
            "worker": labels.worker,
            "method": name(self.method),
            "status": name(self.status),
            "duration_ms": round(self.duration_s * 1000, 3),
        }
        if labels.request_id:
            event["request_id"] = without_secrets(labels.request_id)
        if labels.trace_id:
            event["trace_id"] = labels.trace_id
        for field, value in self.facts.items():
            if value is None or len(event) >= MAX_FIELDS:
                continue
            show = FIELDS.get(field)
            event[field] = HIDDEN if show is None else value if type(value) in NUMBERS else show(value)
        return event
