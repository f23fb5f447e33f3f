"""The alerts of a swarm, look by look: what is shown, told, remembered and silenced."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs
from tests.unit.workers.metrics.alerts.samples import Swarm

from hyperinfer.contracts.metrics import Alert
from hyperinfer.errors import NotFound
from hyperinfer.protocol.alerts import MAX_OPEN, Book
from hyperinfer.testing.clock import ManualClock
from hyperinfer.workers.metrics.alerts.config import AlertSettings
from hyperinfer.workers.metrics.alerts.evaluating import Alerts
from hyperinfer.workers.metrics.alerts.looking import grown, newest
from hyperinfer.workers.metrics.alerts.notifying.notice import Notice
from hyperinfer.workers.metrics.alerts.rule import Rule

QUEUED, RESTARTS = "queued", "restarts_total"
QUEUE = Rule(
    name="queue",
    severity="warning",
    looks_at=newest(QUEUED),
    threshold=100,
    hold_s=10,
    resolve_s=10,
    summary="{value} wait at {worker}.",
    do="Add slots.",
    expr="",
)
RESTARTED = Rule(
    name="restarts",
    severity="critical",
    looks_at=grown(RESTARTS),
    threshold=2,
    hold_s=0,
    resolve_s=10,
    window_s=300,
    summary="{worker} began {value} times.",
    do="Look why.",
    expr="",
)


class Scene:
    def __init__(self, book: Book | None = None, clock: ManualClock | None = None, **settings: Any) -> None:
        self.clock = clock or ManualClock()
        self.view = Swarm(self.clock.now())
        self.told: list[Notice] = []
        self.changes = 0
        self.alerts = Alerts(
            [QUEUE, RESTARTED],
            AlertSettings(**{"group_s": 0.0, **settings}),
            book or Book(),
            clock=self.clock,
            gap_s=60,
            tell=self.told.append,
            changed=self._changed,
        )

    def _changed(self) -> None:
        self.changes += 1

    def look(self, after_s: float = 5, **shown: dict[str, float] | None) -> tuple[Alert, ...]:
        """What is open once so much time has passed, and the workers have shown this."""
        self.clock.advance(after_s)
        self.view.now = self.clock.now()
        self.view.shown = shown
        self.alerts.look(self.view)
        return self.alerts.open()

    def looks(self, times: int, **shown: dict[str, float] | None) -> tuple[Alert, ...]:
        for _ in range(times):
            self.look(5, **shown)
        return self.alerts.open()

    def restarted(self, away_s: float) -> "Scene":
        book = msgspec.json.decode(msgspec.json.encode(self.alerts.book), type=Book)
        self.clock.advance(away_s)
        return Scene(book, self.clock)


BUSY = {QUEUED: 150.0, RESTARTS: 0.0}
CALM = {QUEUED: 3.0, RESTARTS: 0.0}


def test_an_alert_from_beginning_to_end() -> None:
    scene = Scene()
    began = scene.clock.now() + timedelta(seconds=5)
    [alert] = scene.look(gpu=BUSY)
    assert (alert.state, alert.rule, alert.labels, alert.value) == ("pending", "queue", {"worker": "gpu"}, 150.0)
    assert not scene.told
    with capture_logs() as logs:
        [alert] = scene.looks(2, gpu=BUSY)
    assert alert == Alert(
        id=alert.id,
        rule="queue",
        severity="warning",
        state="firing",
        summary="150 wait at gpu.",
        do="Add slots.",
        labels={"worker": "gpu"},
        value=150.0,
        since=began.isoformat(),
    )
    [said] = logs
    assert said == {
        "event": "alert_firing",
        "log_level": "warning",
        "rule": "queue",
        "severity": "warning",
        "id": alert.id,
        "why": "150 wait at gpu.",
        "do": "Add slots.",
    }
    assert [(notice.firing, notice.resolved) for notice in scene.told] == [((alert,), ())]
    with capture_logs() as logs:
        assert not scene.looks(3, gpu=CALM)
    assert [(one["event"], one["log_level"], one["id"]) for one in logs] == [("alert_resolved", "info", alert.id)]
    [past] = scene.alerts.past()
    assert (past.id, past.state, past.resolved_at) == (alert.id, "resolved", scene.clock.now().isoformat())
    assert [notice.resolved for notice in scene.told[1:]] == [(past,)]


def test_what_is_critical_is_an_error_in_the_log() -> None:
    with capture_logs() as logs:
        Scene().look(gpu={RESTARTS: 3.0})
    assert [one["log_level"] for one in logs] == ["error"]


def test_what_matters_most_comes_first() -> None:
    scene = Scene()
    scene.looks(3, a=BUSY)
    found = scene.look(a={QUEUED: 150.0, RESTARTS: 9.0}, b=BUSY)
    assert [(alert.state, alert.rule) for alert in found] == [
        ("firing", "restarts"),
        ("firing", "queue"),
        ("pending", "queue"),
    ]


def test_of_a_worker_that_is_lost_nothing_is_known() -> None:
    scene = Scene()
    scene.looks(3, gpu=BUSY)
    [alert] = scene.looks(100, gpu=None)
    assert alert.state == "firing"
    assert len(scene.told) == 1
    assert not scene.looks(3, gpu=CALM)


def test_what_a_lost_worker_might_have_had_is_nothing() -> None:
    scene = Scene()
    scene.look(gpu=BUSY)
    assert not scene.looks(10, gpu=None)


def test_alerts_of_a_worker_that_was_removed_are_over() -> None:
    scene = Scene()
    scene.looks(3, gpu=BUSY)
    scene.looks(3, gpu=None)
    assert not scene.looks(3)
    assert len(scene.told) == 2


def test_a_restart_tells_nothing_twice_and_does_not_forget_the_end() -> None:
    before = Scene()
    before.looks(3, gpu=BUSY)
    after = before.restarted(away_s=3600)
    after.looks(100, gpu=BUSY)
    assert not after.told
    after.looks(3, gpu=CALM)
    assert [notice.resolved[0].id for notice in after.told] == [before.told[0].firing[0].id]


def test_what_it_did_not_see_it_does_not_take_for_well() -> None:
    """A rule that looks back five minutes has seen nothing yet of the time in which a restarted worker was away."""
    before = Scene()
    before.look(gpu={RESTARTS: 3.0})
    after = before.restarted(away_s=10)
    assert after.looks(59, gpu=CALM)
    assert not after.looks(4, gpu=CALM)


def test_what_a_rule_that_is_off_said_is_over() -> None:
    before = Scene()
    before.looks(3, gpu=BUSY)
    scene = before.restarted(away_s=0)
    scene.alerts = Alerts(
        [RESTARTED],
        AlertSettings(group_s=0.0),
        scene.alerts.book,
        clock=scene.clock,
        gap_s=60,
        tell=scene.told.append,
        changed=lambda: None,
    )
    assert not scene.look(gpu=BUSY)
    assert [notice.resolved[0].rule for notice in scene.told] == ["queue"]


def test_too_many_things_are_one_alert_more() -> None:
    scene = Scene()
    many: dict[str, dict[str, float] | None] = {f"w{number}": BUSY for number in range(MAX_OPEN + 5)}
    found = scene.looks(3, **many)
    assert len(found) == MAX_OPEN + 1
    assert found[0].rule == "too_many_alerts"
    assert found[0].summary == f"More than {MAX_OPEN} things are not well: 5 are not listed."
    assert not scene.looks(20)


def test_silence() -> None:
    scene = Scene()
    [alert] = scene.look(gpu=BUSY)
    silenced = scene.alerts.silence(alert.id, 60)
    assert silenced.silenced_until == (scene.clock.now() + timedelta(minutes=60)).isoformat()
    scene.looks(60, gpu=BUSY)
    assert not scene.told
    assert scene.alerts.silence(alert.id, 0).silenced_until is None
    scene.look(gpu=BUSY)
    assert len(scene.told) == 1


def test_there_is_no_such_alert_to_silence() -> None:
    scene = Scene()
    scene.looks(3, gpu=BUSY)
    scene.looks(3, gpu=CALM)
    for alert_id in ("x", scene.alerts.past()[0].id):
        with pytest.raises(NotFound):
            scene.alerts.silence(alert_id, 5)


def test_it_says_when_there_is_something_to_remember() -> None:
    scene = Scene()
    scene.looks(2, gpu=BUSY)
    assert scene.changes == 0
    scene.looks(20, gpu=BUSY)
    assert scene.changes == 1
    scene.alerts.silence(scene.alerts.open()[0].id, 5)
    assert scene.changes == 2
