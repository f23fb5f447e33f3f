"""When something that is bad becomes an alert, when that ends, and when people are told of it. Pure.

A case is pending until it has been bad for as long as its rule demands, fires until it has been good for as long, and is resolved
then: as Prometheus' alerts with `for` and `keep_firing_for`. What nobody looked at counts for neither.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

Labels = tuple[tuple[str, str], ...]
"""Names and values, sorted by name."""
Key = tuple[str, Labels]
"""A rule's name, and what it is about."""

MAX_OPEN = 200
"""Of one part of a swarm each; what is about the swarm as a whole always finds room: there is one of each rule at most."""
MAX_OPEN_EACH = 100
"""About one worker, and about none: one that says that everything is broken leaves room for what is said of the others."""
MAX_PAST = 200
MAX_SILENCES = 200
PAST_S = 7 * 24 * 3600.0
ID_BYTES = 8

FLAPS = 3
"""From so many firings in an hour on, a thing that comes and goes has to stay well for long until it counts as resolved."""
FLAPS_IN_S = 3600.0
CALM_S = 900.0


@dataclass(frozen=True, slots=True)
class Terms:
    """For how long something must be bad until it fires, and good until it is resolved."""

    hold_s: float
    resolve_s: float


class Case(msgspec.Struct, kw_only=True):
    """One thing that is not well, for as long as it lasts. Times are seconds since the epoch.

    `told_at` is when people were told of it last, none if never; `is_over_told` that they know of its end.
    """

    id: str
    rule: str
    labels: dict[str, str]
    value: float
    began_at: float
    fired_at: float | None = None
    good_since: float | None = None
    resolved_at: float | None = None
    told_at: float | None = None
    is_over_told: bool = False

    @property
    def key(self) -> Key:
        """What it is a case of."""
        return key_of(self.rule, self.labels)

    @property
    def state(self) -> str:
        """`pending`, `firing` or `resolved`."""
        if self.resolved_at is not None:
            return "resolved"
        return "pending" if self.fired_at is None else "firing"


class Book(msgspec.Struct, kw_only=True):
    """What is to be remembered over a restart. `silences` are the rules and labels that nobody is told of, until when."""

    looked_at: float | None = None
    open: list[Case] = []
    past: list[Case] = []
    silences: list[tuple[str, dict[str, str], float]] = []
    waits_since: float | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What one look has brought: cases that began to fire and those that ended."""

    began: tuple[Case, ...] = ()
    ended: tuple[Case, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.began or self.ended)


@dataclass(frozen=True, slots=True)
class Telling:
    """What is to be told now, together."""

    firing: tuple[Case, ...] = ()
    resolved: tuple[Case, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.firing or self.resolved)


def key_of(rule: str, labels: Mapping[str, str]) -> Key:
    """What a case is of, to compare."""
    return rule, tuple(sorted(labels.items()))


class Cases:
    """Every case that is open, those that ended lately, and what people know of them.

    A step of the clock, or more than `gap_s` between two looks, begins every hold anew: in between, nothing is known.
    """

    def __init__(self, book: Book, *, gap_s: float) -> None:
        self._looked_at = book.looked_at
        self._gap_s = gap_s
        self._open = {case.key: case for case in book.open[:MAX_OPEN]}
        self._past = deque(book.past, maxlen=MAX_PAST)
        self._silences = {key_of(rule, labels): until for rule, labels, until in book.silences[:MAX_SILENCES]}
        self._waits_since = book.waits_since
        self.turned_away = 0
        """Things that were bad at the last look, and found no room."""

    @property
    def open(self) -> tuple[Case, ...]:
        """Those that last, in the order in which they began."""
        return tuple(self._open.values())

    @property
    def past(self) -> tuple[Case, ...]:
        """Those that ended lately, in that order."""
        return tuple(self._past)

    @property
    def book(self) -> Book:
        """What is to be remembered."""
        return Book(
            looked_at=self._looked_at,
            open=list(self._open.values()),
            past=list(self._past),
            silences=[(rule, dict(labels), until) for (rule, labels), until in self._silences.items()],
            waits_since=self._waits_since,
        )

    # --- looking ----------------------------------------------------------------------------------------------

    def look(
        self,
        now: float,
        bad: Mapping[Key, float],
        *,
        terms: Callable[[str], Terms],
        is_unknown: Callable[[Key], bool] = lambda key: False,
    ) -> Change:
        """What is bad now, each with its value, the worst first: it finds room first. What `is_unknown` stays as it is, neither fires
        nor is resolved."""
        if self._looked_at is None or not 0 <= now - self._looked_at <= self._gap_s:
            self._begin_anew(now)
        self._looked_at = now
        self._forget(now)
        began = [case for key, value in bad.items() if (case := self._bad(now, key, value, terms(key[0])))]
        others = [case for key, case in self._open.items() if key not in bad]
        ended = [case for case in others if self._good(now, case, terms(case.rule), is_unknown(case.key))]
        return Change(tuple(began), tuple(ended))

    def _begin_anew(self, now: float) -> None:
        for case in self._open.values():
            case.good_since = None
            if case.fired_at is None:
                case.began_at = now

    def _forget(self, now: float) -> None:
        while self._past and (self._past[0].resolved_at or 0.0) < now - PAST_S:
            self._past.popleft()
        self._silences = {key: until for key, until in self._silences.items() if until > now}
        self.turned_away = 0

    def _bad(self, now: float, key: Key, value: float, terms: Terms) -> Case | None:
        """Take note that something is bad; the case, if it begins to fire."""
        case = self._open.get(key)
        if case is None:
            rule, labels = key
            if labels and not self._has_room(dict(labels).get("worker")):
                self.turned_away += 1
                return None
            case = Case(id=_id(key, now), rule=rule, labels=dict(labels), value=value, began_at=now)
            self._open[key] = case
        case.value, case.good_since = value, None
        if case.fired_at is not None or now - case.began_at < terms.hold_s:
            return None
        case.fired_at = now
        return case

    def _has_room(self, worker: str | None) -> bool:
        of_it = sum(case.labels.get("worker") == worker for case in self._open.values())
        return len(self._open) < MAX_OPEN and of_it < MAX_OPEN_EACH

    def _good(self, now: float, case: Case, terms: Terms, is_unknown: bool) -> bool:
        """Take note that something is not bad, or not known; says whether that ends a case that fired."""
        if case.fired_at is None:
            del self._open[case.key]
            return False
        if is_unknown:
            case.good_since = None
            return False
        case.good_since = now if case.good_since is None else case.good_since
        if now - case.good_since < self._resolve_s(now, case, terms):
            return False
        case.resolved_at = now
        del self._open[case.key]
        self._past.append(case)
        return True

    def _resolve_s(self, now: float, case: Case, terms: Terms) -> float:
        lately = sum(one.key == case.key and (one.fired_at or 0.0) > now - FLAPS_IN_S for one in self._past)
        return max(terms.resolve_s, CALM_S) if lately + 1 >= FLAPS else terms.resolve_s

    # --- telling ----------------------------------------------------------------------------------------------

    def telling(self, now: float, *, group_s: float, repeat_s: float) -> Telling:
        """What people are to be told now; from here on they know.

        What begins or ends is told once, `group_s` after the first of its kind, so that what comes together is told together; what
        goes on is told again every `repeat_s`. Nobody hears of the end of what nobody has heard of.
        """
        firing = [case for case in self._open.values() if case.fired_at is not None and not self.silenced_until(case)]
        for case in firing:
            if case.told_at is not None and case.told_at > now:  # the clock was set back
                case.told_at = now
        new = [case for case in firing if case.told_at is None]
        over = [case for case in self._past if case.told_at is not None and not case.is_over_told]
        again = [case for case in firing if case.told_at is not None and now - case.told_at >= repeat_s]
        if not new and not over:
            self._waits_since = None
        elif self._waits_since is None or now < self._waits_since:
            self._waits_since = now
        waits = self._waits_since is not None and now - self._waits_since < group_s
        if waits:
            new, over = [], []
        if new or over:
            self._waits_since = None
        for case in (*new, *again):
            case.told_at = now
        for case in over:
            case.is_over_told = True
        return Telling((*new, *again), tuple(over))

    # --- silencing --------------------------------------------------------------------------------------------

    def silence(self, case_id: str, until: float, *, now: float) -> Case | None:
        """Tell nobody of a case, nor of another of the same thing, until then; a time that has passed ends that. None if there is no
        such case, or no room for a further silence."""
        case = next((case for case in self._open.values() if case.id == case_id), None)
        if case is None:
            return None
        if until <= now:
            self._silences.pop(case.key, None)
        elif case.key in self._silences or len(self._silences) < MAX_SILENCES:
            self._silences[case.key] = until
        else:
            return None
        return case

    def silenced_until(self, case: Case) -> float | None:
        """Until when nobody is told of it, as of the last look."""
        until = self._silences.get(case.key)
        return until if until is not None and until > (self._looked_at or 0.0) else None


def _id(key: Key, now: float) -> str:
    """A name for one case of a thing: another one has another."""
    return hashlib.blake2b(msgspec.json.encode((key, now)), digest_size=ID_BYTES).hexdigest()
