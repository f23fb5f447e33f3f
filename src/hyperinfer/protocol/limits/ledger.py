"""What is counted for each subject, in one place and in memory. Pure: times are arguments."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence

from hyperinfer.contracts.limits import Limits, Subject
from hyperinfer.errors import Overloaded
from hyperinfer.protocol.limits.log import Log
from hyperinfer.protocol.limits.rules import RequestRule, Rules, TokenRule, rules_of, share_of
from hyperinfer.protocol.limits.spans import KINDS, Calendar, Kind, Spent, span_of
from hyperinfer.protocol.limits.standing import Reading, Row, Standing, merged, refusal, rows_of

BUCKET_ENTRIES = 32
"""What a subject itself costs, in entries of a log."""
SWEPT_AT_ONCE = 64
NO_RULES = Rules()


class Bucket:
    """What is counted for one subject. `entries` is what it costs."""

    __slots__ = ("_limits", "in_flight", "logs", "requests", "rules", "spent", "subject", "tokens")

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.rules = NO_RULES
        self.logs: dict[float, Log] = {}
        self.spent: dict[Kind, Spent] = {}
        self.requests: tuple[tuple[RequestRule, Log], ...] = ()
        self.tokens: tuple[tuple[TokenRule, Spent], ...] = ()
        self.in_flight = 0
        self._limits: Limits | None = None

    @property
    def entries(self) -> int:
        """How much is remembered of it."""
        return BUCKET_ENTRIES + sum(map(len, self.logs.values()))

    def goes_by(self, limits: Limits) -> bool:
        """Whether it counts by these limits."""
        return limits is self._limits or limits == self._limits

    def adapt(self, limits: Limits) -> None:
        """Count by these limits from now on; what they do not limit is forgotten."""
        rules = rules_of(limits)
        self._limits, self.rules = limits, rules
        self.logs = {rule.window.length_s: self._log(rule) for rule in rules.requests}
        self.spent = {rule.kind: self.spent.get(rule.kind) or Spent(self.subject, rule.kind) for rule in rules.tokens}
        self.requests = tuple((rule, self.logs[rule.window.length_s]) for rule in rules.requests)
        self.tokens = tuple((rule, self.spent[rule.kind]) for rule in rules.tokens)

    def come_to(self, now: float, at_s: float, calendar: Calendar) -> int:
        """Let go of what counts no longer; returns by how much `entries` has become less."""
        for spent in self.spent.values():
            spent.roll(calendar.span(spent.kind, at_s))
        return sum(log.forget(now) for log in self.logs.values())

    def has_room(self, tokens: int, share: int) -> bool:
        """Whether one more request fits that reserves so many tokens; the rule for tokens is that of `Row.stops`."""
        for rule, log in self.requests:
            if log.count >= share_of(rule.window.requests, share):
                return False
        for limited, spent in self.tokens:
            left = share_of(limited.tokens, share) - spent.used - spent.held
            if left <= 0 or (spent.held and left < tokens):
                return False
        concurrent = self.rules.concurrent
        return concurrent is None or self.in_flight < share_of(concurrent, share)

    def is_idle(self) -> bool:
        """Whether nothing of it counts any longer, as of the last `come_to`."""
        return not (self.in_flight or any(self.logs.values()) or any(one.used for one in self.spent.values()))

    def reading(self, now: float, at_s: float, share: int) -> Reading:
        """What is counted."""
        return Reading(
            requests=tuple(
                (log.count, log.resets_in_s(now), log.frees_in_s(share_of(rule.window.requests, share), now))
                for rule, log in self.requests
            ),
            tokens=tuple((spent.used, spent.held, spent.until - at_s) for _, spent in self.tokens),
            in_flight=self.in_flight,
        )

    def _log(self, rule: RequestRule) -> Log:
        log = self.logs.get(rule.window.length_s)
        if log is None:
            return Log(rule.window)
        log.change(rule.window)
        return log


class Hold:
    """What one request that is under way holds: its places in buckets, and tokens in the windows where they are held."""

    __slots__ = ("buckets", "spent", "tokens")

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens
        self.buckets: list[Bucket] = []
        self.spent: list[tuple[Spent, int]] = []


class Ledger:
    """Buckets by subject, at most `max_entries` remembered in all: what has no room is refused, for 503 and not for 429.

    `now` is monotonic, `at_s` seconds since the epoch. `share` is how many gateways share each limit without counting
    together.
    """

    def __init__(self, *, max_entries: int) -> None:
        self._max_entries = max_entries
        self._calendar = Calendar()
        # In the order in which they are looked at, one after the other, for what can be forgotten.
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()
        self.entries = 0

    def __len__(self) -> int:
        return len(self._buckets)

    def __iter__(self) -> Iterator[Bucket]:
        return iter(self._buckets.values())

    def admit(self, subjects: Sequence[Subject], *, tokens: int, now: float, at_s: float, share: int = 1) -> Hold:
        """Count one request if it fits in all. Raises `RateLimited`, `Overloaded`; nothing is counted then."""
        buckets = self._current(subjects, now, at_s)
        if not all(bucket.has_room(tokens, share) for bucket in buckets):
            raise refusal(self._standing(buckets, now, at_s, share), tokens)
        if not self._has_room(buckets, now, at_s):
            raise Overloaded("The gateway remembers as many requests as it may; try again.", retry_after_s=1)
        return self._take(buckets, tokens, now)

    def count(self, subjects: Sequence[Subject], *, tokens: int, now: float, at_s: float) -> Hold:
        """Count one request that has been admitted elsewhere; one that there is no room for is not remembered."""
        buckets = self._current(subjects, now, at_s)
        return self._take(buckets if self._has_room(buckets, now, at_s) else [], tokens, now)

    def settle(self, hold: Hold, *, tokens: int) -> list[Spent]:
        """A request has ended and used so many tokens: they count where they were held. Returns what has changed."""
        for bucket in hold.buckets:
            bucket.in_flight -= 1
        changed = []
        for spent, start in hold.spent:
            if spent.start == start:
                spent.held -= hold.tokens
                spent.used += tokens
                changed.append(spent)
        return changed

    def standing(self, subjects: Sequence[Subject], *, now: float, at_s: float, share: int = 1) -> Standing:
        """How they stand, nothing being counted."""
        return self._standing(self._current(subjects, now, at_s), now, at_s, share)

    def standing_of(self, hold: Hold, *, now: float, at_s: float, share: int = 1) -> Standing:
        """How those stand whom a request has just been counted for."""
        return self._standing(hold.buckets, now, at_s, share)

    def charge(self, subject: str, *, tokens: int, at_s: float) -> list[Spent]:
        """Count tokens that were used at some time without being held. Returns what has changed."""
        return [self._spend(subject, kind, span_of(kind, at_s).start, tokens) for kind in KINDS]

    def restore(self, subject: str, kind: Kind, start: int, tokens: int) -> None:
        """Tokens used in a window, as they were known before a restart."""
        self._spend(subject, kind, start, tokens)

    def _spend(self, subject: str, kind: Kind, start: int, tokens: int) -> Spent:
        bucket = self._buckets.get(subject)
        if bucket is None:
            bucket = Bucket(subject)
            self._keep(bucket)
        spent = bucket.spent.get(kind)
        if spent is None:
            spent = bucket.spent[kind] = Spent(subject, kind)
        if start > spent.start:
            spent.roll(span_of(kind, start))
        if spent.start == start:
            spent.used += tokens
        return spent

    def _current(self, subjects: Sequence[Subject], now: float, at_s: float) -> list[Bucket]:
        """The buckets of those that have limits, by what counts now; a new one is not kept yet."""
        found = []
        for subject in subjects:
            bucket = self._buckets.get(subject.id)
            if bucket is None:
                bucket = Bucket(subject.id)
                bucket.adapt(subject.limits)
            elif not bucket.goes_by(subject.limits):
                self.entries -= bucket.entries
                bucket.adapt(subject.limits)
                self.entries += bucket.entries
            self.entries -= bucket.come_to(now, at_s, self._calendar)
            if bucket.rules.has_any:
                found.append(bucket)
        return found

    def _take(self, buckets: list[Bucket], tokens: int, now: float) -> Hold:
        hold = Hold(tokens)
        hold.buckets = buckets
        for bucket in buckets:
            if bucket.subject not in self._buckets:
                self._keep(bucket)
            for _, log in bucket.requests:
                self.entries += log.add(now)
            for _, spent in bucket.tokens:
                spent.held += tokens
                hold.spent.append((spent, spent.start))
            bucket.in_flight += 1
        return hold

    def _keep(self, bucket: Bucket) -> None:
        self._buckets[bucket.subject] = bucket
        self.entries += bucket.entries

    def _has_room(self, buckets: Sequence[Bucket], now: float, at_s: float) -> bool:
        """Whether one more request of these can be remembered, if need be once some of what counts no longer is forgotten."""
        wanted = sum(len(one.logs) + (0 if one.subject in self._buckets else BUCKET_ENTRIES) for one in buckets)
        if self.entries + wanted <= self._max_entries:
            return True
        for _ in range(min(SWEPT_AT_ONCE, len(self._buckets))):
            subject, bucket = self._buckets.popitem(last=False)
            self.entries -= bucket.come_to(now, at_s, self._calendar)
            if bucket.is_idle():
                self.entries -= bucket.entries
            else:
                self._buckets[subject] = bucket
        return self.entries + wanted <= self._max_entries

    def _standing(self, buckets: Sequence[Bucket], now: float, at_s: float, share: int) -> Standing:
        rows: list[Iterable[Row]] = [
            rows_of(bucket.subject, bucket.rules, bucket.reading(now, at_s, share), share=share) for bucket in buckets
        ]
        return merged(rows)
