"""Looks at what was collected by every rule, and keeps what is not well until it is well again."""

import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from hyperinfer.contracts.metrics import Alert
from hyperinfer.errors import NotFound
from hyperinfer.facilities.clock import Clock
from hyperinfer.protocol.alerts import Book, Case, Cases, Key, Terms
from hyperinfer.workers.metrics.alerts.config import AlertSettings
from hyperinfer.workers.metrics.alerts.notifying import log
from hyperinfer.workers.metrics.alerts.notifying.notice import Notice, by_severity
from hyperinfer.workers.metrics.alerts.notifying.trial import Trial
from hyperinfer.workers.metrics.alerts.rule import Rule
from hyperinfer.workers.metrics.alerts.rules import TOO_MANY
from hyperinfer.workers.metrics.view import View

AWAY = frozenset({"lost", "never_seen"})
GONE = Terms(hold_s=0.0, resolve_s=0.0)
"""Of a rule that is no more, or is switched off."""

Tell = Callable[[Notice], None]


class Alerts:
    """The alerts of the swarm. `tell` takes what people are to be told and must not wait; `changed` is called when there is
    something to be remembered that was not there before."""

    def __init__(
        self,
        rules: Sequence[Rule],
        settings: AlertSettings,
        book: Book,
        *,
        clock: Clock,
        gap_s: float,
        tell: Tell,
        changed: Callable[[], None],
        trial: Trial | None = None,
    ) -> None:
        self.trial = trial or Trial((), clock=clock)
        self._rules = {rule.name: rule for rule in rules}
        self._settings = settings
        self._cases = Cases(book, gap_s=gap_s)
        self._clock = clock
        self._tell = tell
        self._changed = changed
        self._gap_s = gap_s
        self._looks_since: float | None = None
        self._looked_at: float | None = None

    @property
    def book(self) -> Book:
        """What is to be remembered over a restart."""
        return self._cases.book

    def look(self, view: View) -> None:
        """Look at a collection: see what begins and what is over, and tell it."""
        now = view.now.timestamp()
        self._note_gaps(now)
        away = {worker.name for worker in view.workers if worker.state in AWAY}

        def is_unknown(key: Key) -> bool:
            rule, labels = self._rules.get(key[0]), dict(key[1])
            return labels.get("worker") in away or (rule is not None and self._has_looked_s(now) < rule.window_s)

        turned_away = self._cases.turned_away
        bad: dict[Key, float] = {(TOO_MANY.name, ()): float(turned_away)} if turned_away else {}
        for rule in self._rules.values():
            bad.update(rule.bad(view))
        change = self._cases.look(now, bad, terms=self._terms, is_unknown=is_unknown)
        for case in change.began:
            log.began(self._shown(case))
        for case in change.ended:
            log.ended(self._shown(case))
        telling = self._cases.telling(now, group_s=self._settings.group_s, repeat_s=self._settings.repeat_s)
        if telling:
            firing, resolved = (tuple(map(self._shown, cases)) for cases in (telling.firing, telling.resolved))
            self._tell(
                Notice(
                    id=secrets.token_hex(8), at=_text(now), firing=by_severity(firing), resolved=by_severity(resolved)
                )
            )
        if change or telling:
            self._changed()

    def open(self) -> tuple[Alert, ...]:
        """What is not well, or may soon be called so: what fires before what is pending, the most severe first."""
        alerts = by_severity(tuple(map(self._shown, self._cases.open)))
        return tuple(sorted(alerts, key=lambda alert: alert.state != "firing"))

    def past(self) -> tuple[Alert, ...]:
        """What was resolved lately, newest first."""
        return tuple(map(self._shown, reversed(self._cases.past)))

    def silence(self, alert_id: str, minutes: int) -> Alert:
        """Tell nobody of an alert, nor of another of the same thing, for so long. Raises `NotFound` if it is not open."""
        now = self._clock.now().timestamp()
        case = self._cases.silence(alert_id, now + 60.0 * minutes, now=now)
        if case is None:
            raise NotFound("No such alert is open: `hyperinfer alerts` lists those that are.")
        self._changed()
        return self._shown(case)

    def _note_gaps(self, now: float) -> None:
        """Note since when it is looked without a gap."""
        if self._looks_since is None or self._looked_at is None or not 0 <= now - self._looked_at <= self._gap_s:
            self._looks_since = now
        self._looked_at = now

    def _has_looked_s(self, now: float) -> float:
        return 0.0 if self._looks_since is None else now - self._looks_since

    def _terms(self, rule: str) -> Terms:
        found = TOO_MANY if rule == TOO_MANY.name else self._rules.get(rule)
        return found.terms if found else GONE

    def _shown(self, case: Case) -> Alert:
        rule = TOO_MANY if case.rule == TOO_MANY.name else self._rules.get(case.rule)
        silenced = self._cases.silenced_until(case)
        return Alert(
            id=case.id,
            rule=case.rule,
            severity=rule.severity if rule else "warning",
            state="resolved" if case.resolved_at is not None else "pending" if case.fired_at is None else "firing",
            summary=rule.says(case.labels, case.value) if rule else "Its rule is off.",
            do=rule.do if rule else "",
            labels=case.labels,
            value=case.value,
            since=_text(case.began_at),
            resolved_at=None if case.resolved_at is None else _text(case.resolved_at),
            silenced_until=None if silenced is None else _text(silenced),
        )


def _text(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()
