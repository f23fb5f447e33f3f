"""The fixed windows in which tokens count: minutes, days and months of UTC, in seconds since the epoch. Pure."""

from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

Kind = Literal["minute", "day", "month"]
MINUTE: Kind = "minute"
DAY: Kind = "day"
MONTH: Kind = "month"
KINDS: tuple[Kind, ...] = (MINUTE, DAY, MONTH)

FIXED_S: dict[Kind, int] = {MINUTE: 60, DAY: 86_400}
LONGEST_MONTH = timedelta(days=31)


class Span(NamedTuple):
    """From `start` up to, and without, `until`."""

    start: int
    until: int


def span_of(kind: Kind, at_s: float) -> Span:
    """The window of a kind that a moment is in."""
    if length_s := FIXED_S.get(kind):
        start = int(at_s // length_s) * length_s
        return Span(start, start + length_s)
    day = datetime.fromtimestamp(at_s, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    first = day.replace(day=1)
    following = (first + LONGEST_MONTH).replace(day=1)
    return Span(int(first.timestamp()), int(following.timestamp()))


class Calendar:
    """The current window of each kind, worked out once in each of them."""

    __slots__ = ("_spans",)

    def __init__(self) -> None:
        self._spans: dict[Kind, Span] = dict.fromkeys(KINDS, Span(0, 0))

    def span(self, kind: Kind, at_s: float) -> Span:
        """The window that a moment is in."""
        span = self._spans[kind]
        if not span.start <= at_s < span.until:
            span = self._spans[kind] = span_of(kind, at_s)
        return span


class Spent:
    """Tokens of one subject in its newest window of a kind: `used`, and `held` by requests under way."""

    __slots__ = ("held", "kind", "start", "subject", "until", "used")

    def __init__(self, subject: str, kind: Kind) -> None:
        self.subject = subject
        self.kind = kind
        self.start = 0
        self.until = 0
        self.used = 0
        self.held = 0

    def roll(self, span: Span) -> None:
        """Begin the window that it is now. Where the clock was put back by less than a window, the one begun goes on."""
        if span.start == self.start or (span.start < self.start <= span.until):
            return
        self.start, self.until = span
        self.used = self.held = 0
