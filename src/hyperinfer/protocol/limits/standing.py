"""How somebody stands to their limits, and what is said to who is refused. Pure."""

import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from hyperinfer.contracts.gateway import RateLimitInfo
from hyperinfer.contracts.usage import QuotaRow
from hyperinfer.errors import RateLimited
from hyperinfer.protocol.limits.rules import Rules, share_of

SOON_S = 1.0
"""When to come again where what is under way stands in the way: nobody knows when that ends."""

NOT_LIMITED = RateLimitInfo(None, None, 0, 0)

What = Literal["requests", "tokens", "concurrent"]

WINDOWS = {
    "requests_per_minute": "a minute",
    "requests_per_hour": "an hour",
    "tokens_per_minute": "a minute",
    "tokens_per_day": "a day",
    "tokens_per_month": "a month",
}


class Reading(msgspec.Struct, frozen=True, gc=False):
    """What is counted for one subject, in the order of its rules, whoever keeps the count. Times in seconds from now.

    `requests` are admissions that count, when the oldest leaves, and when there is room again; `tokens` are those used,
    those held by requests under way, and when the window ends.
    """

    requests: tuple[tuple[int, float, float], ...]
    tokens: tuple[tuple[int, int, float], ...]
    in_flight: int


class Row(msgspec.Struct, frozen=True, gc=False):
    """One limit of one subject (`of` is `user` or `key`).

    `resets_in_s` is when more is free again; `frees_in_s` when there is anything again where nothing is left. `held` are
    tokens of requests under way, which `used` has in it.
    """

    what: What
    of: str
    name: str
    limit: int
    used: int
    remaining: int
    window_s: float
    resets_in_s: float
    frees_in_s: float = 0.0
    held: int = 0

    def stops(self, tokens: int) -> bool:
        """Whether a request that reserves so many tokens has no room here.

        What remains of a token window is open to a request that has it for itself, however much it reserves: else the
        end of a budget could not be used.
        """
        if self.what == "tokens" and self.remaining:
            return self.held > 0 and self.remaining < tokens
        return not self.remaining

    @property
    def words(self) -> str:
        """The limit in words."""
        things = "tokens" if self.what == "tokens" else "requests"
        window = (
            "at a time" if self.what == "concurrent" else WINDOWS.get(self.name, f"in {self.window_s / 60:.0f} minutes")
        )
        return f"{self.limit} {things if self.limit != 1 else things[:-1]} {window}"


class Standing(msgspec.Struct, frozen=True):
    """Every limit that a request counts for; none where nothing limits."""

    rows: tuple[Row, ...] = ()

    def nearest(self, what: What) -> Row | None:
        """The limit of a kind that is nearest to its end."""
        rows = (row for row in self.rows if row.what == what)
        return min(rows, key=lambda row: (row.remaining, -row.resets_in_s), default=None)

    @property
    def told(self) -> RateLimitInfo | None:
        """What a caller is told of it; nothing where nothing limits."""
        requests, tokens = self.nearest("requests"), self.nearest("tokens")
        if requests is None and tokens is None:
            return None
        return RateLimitInfo(
            remaining_requests=requests.remaining if requests else None,
            max_requests=requests.limit if requests else None,
            next_reset_in_seconds=math.ceil(requests.resets_in_s) if requests else 0,
            window_duration_minutes=round(requests.window_s / 60) if requests else 0,
            remaining_tokens=tokens.remaining if tokens else None,
            max_tokens=tokens.limit if tokens else None,
            tokens_reset_in_seconds=math.ceil(tokens.resets_in_s) if tokens else None,
        )

    def quota(self, now: datetime) -> tuple[QuotaRow, ...]:
        """Every limit as it is shown to its owner; `now` in UTC."""
        return tuple(
            QuotaRow(
                of=row.of,
                name=row.name,
                limit=row.limit,
                used=row.used,
                remaining=row.remaining,
                resets_at=_at(now, row.resets_in_s) if row.resets_in_s > 0 else None,
            )
            for row in self.rows
        )


def rows_of(subject: str, rules: Rules, reading: Reading, *, share: int = 1) -> Iterable[Row]:
    """How a subject stands, by what is counted; one of `share` gateways that count for themselves has but its share."""
    of = subject.partition(":")[0]
    for rule, (count, resets_in_s, frees_in_s) in zip(rules.requests, reading.requests, strict=True):
        limit = rule.window.requests
        left = max(0, share_of(limit, share) - count)
        yield Row("requests", of, rule.name, limit, count, left, rule.window.length_s, resets_in_s, frees_in_s)
    for spent, (used, held, ends_in_s) in zip(rules.tokens, reading.tokens, strict=True):
        most = share_of(spent.tokens, share)
        left = max(0, most - used - held)
        frees_in_s = SOON_S if used < most else ends_in_s
        yield Row("tokens", of, spent.name, spent.tokens, used + held, left, 0.0, ends_in_s, frees_in_s, held)
    if rules.concurrent is not None:
        left = max(0, share_of(rules.concurrent, share) - reading.in_flight)
        yield Row("concurrent", of, "concurrent_requests", rules.concurrent, reading.in_flight, left, 0.0, 0.0, SOON_S)


def refusal(standing: Standing, tokens: int) -> RateLimited:
    """What to say to a request that does not fit. When it is to come again there is room in everything that stopped it,
    if nobody else asks meanwhile; what waits for requests under way is a guess."""
    stopping = [row for row in standing.rows if row.stops(tokens)]
    row = max(stopping, key=_wait_s)
    wait_s = _wait_s(row)
    again = f" Try again in {_in_words(wait_s)}." if row.limit else ""
    return RateLimited(
        _why(row) + again,
        retry_after_s=wait_s,
        limit=row.words,
        rule=row.name,
        scope=row.of,
        **msgspec.structs.asdict(standing.told or NOT_LIMITED),
    )


def _wait_s(row: Row) -> float:
    return SOON_S if row.what == "tokens" and row.remaining else row.frees_in_s


def _why(row: Row) -> str:
    is_key = row.of == "key"
    if not row.limit:
        return f"{'This API key' if is_key else 'You'} may use no more than {row.words}."
    if row.what == "concurrent":
        return f"{'This API key has' if is_key else 'You have'} the most requests under way, {row.words}."
    if row.what == "tokens" and row.frees_in_s == SOON_S:
        whose = "this API key's" if is_key else "your"
        return f"Requests under way may use what is left of {whose} {row.words}."
    return f"This API key has used its {row.words}." if is_key else f"You have used your {row.words}."


def _in_words(wait_s: float) -> str:
    for unit_s, unit, above in ((86_400, "days", 2), (3600, "h", 2), (60, "min", 5)):
        if wait_s > above * unit_s:
            return f"{math.ceil(wait_s / unit_s)} {unit}"
    return f"{math.ceil(wait_s)} s"


def _at(now: datetime, in_s: float) -> str:
    at = now + timedelta(seconds=in_s)
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def merged(parts: Sequence[Iterable[Row]]) -> Standing:
    """The standing of all subjects of a request together."""
    return Standing(tuple(row for part in parts for row in part))
