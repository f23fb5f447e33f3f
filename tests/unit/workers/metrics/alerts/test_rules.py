"""Each rule on what it is made for: it fires after its hold, says so in a sentence, and is over; Prometheus sees the same."""

import re
import runpy
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import inf, nan
from operator import lt
from pathlib import Path
from typing import Any

import click
import pytest

from hyperinfer.cli.root import root
from hyperinfer.contracts.common import Health
from hyperinfer.contracts.metrics import Alert
from hyperinfer.errors import ConfigError
from hyperinfer.protocol.alerts import Book
from hyperinfer.testing.alerts import SCENARIOS, STEP_S, Course, Scenario, Series, course
from hyperinfer.testing.clock import ManualClock
from hyperinfer.workers.metrics.alerts.config import AlertSettings, RuleSettings
from hyperinfer.workers.metrics.alerts.evaluating import Alerts
from hyperinfer.workers.metrics.alerts.rule import MAX_LABEL_CHARS, Rule
from hyperinfer.workers.metrics.alerts.rules import ALL, TOO_MANY, rules_of
from hyperinfer.workers.metrics.collecting.exposition import read
from hyperinfer.workers.metrics.collecting.members import Asked
from hyperinfer.workers.metrics.collecting.memory import Memory
from hyperinfer.workers.metrics.collecting.swarm import Swarm
from hyperinfer.workers.metrics.collecting.worker import Worker

ROOT = Path(__file__).parents[5]
START = datetime(2026, 11, 21, tzinfo=UTC)
RULES = {rule.name: rule for rule in ALL}
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "prometheus_rules.py"))


class Stage:
    """One worker that shows what a scenario says, collected every so often."""

    def __init__(self, scenario: Scenario) -> None:
        key = bytes(32)
        self._scenario = scenario
        self._worker = Worker(Asked(key, "home", (scenario.wtype,)), Memory(remember_s=900))
        self.swarm = Swarm(now=START, remember_s=900)
        self.swarm.known = {key.hex(): self._worker}

    def collect(self, lines: list[str], after_s: int, *, is_lost: bool) -> None:
        now = START + timedelta(seconds=after_s)
        memory = self._worker.memory
        if is_lost:
            self._worker.trouble = "It did not answer."
        else:
            self._worker.answered(
                Health(status="ready", version="1", service=self._scenario.wtype, uptime_s=after_s), (), now
            )
            shown = read("\n".join(lines) + "\n", memory.by_key, max_samples=1000)
            assert not shown.malformed
            memory.take(shown, float(after_s), has_restarted=False)
        self.swarm.collected(now)


def states(scenario: Scenario, rule: Rule) -> dict[int, tuple[Alert, ...]]:
    """Which alerts fire at each moment."""
    when = course(rule.hold_s, rule.resolve_s, rule.window_s)
    stage, found = Stage(scenario), dict[int, tuple[Alert, ...]]()
    alerts = Alerts(
        [rule],
        AlertSettings(),
        Book(),
        clock=ManualClock(START),
        gap_s=60,
        tell=lambda notice: None,
        changed=lambda: None,
    )
    for number, lines in enumerate(shown(scenario, when)):
        after_s = number * STEP_S
        stage.collect(lines, after_s, is_lost=scenario.is_lost and when.ill_at <= after_s < when.well_at)
        alerts.look(stage.swarm)
        found[after_s] = tuple(alert for alert in alerts.open() if alert.state == "firing")
    return found


def shown(scenario: Scenario, when: Course) -> Iterator[list[str]]:
    """What the worker shows at each collection."""
    values = [(series, series.values(*when.steps)) for series in scenario.series]
    for number in range(sum(when.steps)):
        yield [f"{series.text} {steps[number]:.15g}" for series, steps in values if steps[number] is not None]


def test_every_rule_has_a_scenario() -> None:
    assert [scenario.rule for scenario in SCENARIOS] == list(dict.fromkeys(scenario.rule for scenario in SCENARIOS))
    assert {scenario.rule for scenario in SCENARIOS} == set(RULES)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.rule)
def test_it_fires_and_is_over(scenario: Scenario) -> None:
    rule = RULES[scenario.rule]
    firing = states(scenario, rule)
    when = course(rule.hold_s, rule.resolve_s, rule.window_s)
    for at_s, fires in SCRIPT["moments"](rule):
        assert bool(firing[at_s]) is fires, at_s
    assert not any(firing[at_s] for at_s in firing if at_s < when.ill_at + rule.hold_s)
    [alert] = firing[when.well_at - STEP_S]
    assert alert.labels == scenario.labels
    assert alert.value == pytest.approx(scenario.value)
    assert alert.summary == rule.says(scenario.labels, scenario.value)
    assert "?" not in alert.summary


@pytest.mark.slow
@pytest.mark.needs_prometheus
def test_prometheus_sees_the_same(tmp_path: Path) -> None:
    """The scenarios again, before Prometheus' own evaluation, at the same moments and with the same sentences."""
    for name in ("rules.yml", "rules_test.yml"):
        shutil.copy(ROOT / "deploy" / "prometheus" / name, tmp_path)
    ran = subprocess.run(
        ["promtool", "test", "rules", "rules_test.yml"], check=False, cwd=tmp_path, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.needs_prometheus
@pytest.mark.parametrize(("what", "file"), [("rules", "rules.yml"), ("config", "prometheus.yml")])
def test_prometheus_takes_the_files(what: str, file: str) -> None:
    folder = ROOT / "deploy" / "prometheus"
    ran = subprocess.run(["promtool", "check", what, file], check=False, cwd=folder, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("what", "file"),
    [
        ("rules", "deploy/prometheus/rules.yml"),
        ("tests", "deploy/prometheus/rules_test.yml"),
        ("page", "docs/reference/alerts.md"),
    ],
)
def test_the_files_are_up_to_date(what: str, file: str) -> None:
    assert (ROOT / file).read_text(encoding="utf-8") == SCRIPT[what](), "run scripts/prometheus_rules.py"


# --- what a rule looks at, closer ---------------------------------------------------------------------------------


def bad(rule: str, scenario: Scenario, *texts: tuple[str, float]) -> dict[Any, float]:
    """What is bad once a worker has shown these values twice."""
    stage = Stage(scenario)
    for after_s in (0, STEP_S):
        stage.collect([f"{text} {value}" for text, value in texts], after_s, is_lost=False)
    return RULES[rule].bad(stage.swarm)


def test_a_share_of_few_requests_says_nothing() -> None:
    failed = Series('ai_platform_requests_total{method="login",status="INTERNAL"}', (0, 1), grows=True)
    few = Scenario("error_rate", (failed,), value=1.0)
    stage = Stage(few)
    for number in range(10):
        stage.collect([f"{failed.text} {number}"], number * STEP_S, is_lost=False)
    assert not RULES["error_rate"].bad(stage.swarm)
    stage.collect([f"{failed.text} 10"], 10 * STEP_S, is_lost=False)
    assert list(RULES["error_rate"].bad(stage.swarm).values()) == [1.0]


def test_a_bridge_that_is_off_is_no_alert() -> None:
    stage = Stage(Scenario("worker_lost", (), value=0, wtype="client"))
    stage.collect([], 0, is_lost=True)
    assert not RULES["worker_lost"].bad(stage.swarm)


def test_a_model_without_slots_is_there() -> None:
    served = ('ai_platform_request_duration_seconds_count{service="gateway",model="m"}', 7.0)
    scenario = Scenario("model_gone", (), value=0)
    assert bad("model_gone", scenario, served)
    assert not bad("model_gone", scenario, served, ('ai_platform_inference_slots{model="m"}', 0.0))


def test_what_one_process_shows_for_all_its_workers_is_said_once() -> None:
    swarm = Swarm(now=START, remember_s=900)
    for number, process in enumerate(("p", "p", "q")):
        worker = Worker(Asked(bytes([number]) * 32, f"w{number}", ("auth",)), Memory(remember_s=900))
        worker.answered(Health(status="ready", version="1", service="auth", process=process, uptime_s=1.0), (), START)
        worker.memory.take(read("ai_platform_event_loop_lag_seconds 3\n", {}, max_samples=10), 0.0, has_restarted=False)
        swarm.known[worker.asked.key.hex()] = worker
    swarm.collected(START)
    assert [dict(labels)["worker"] for _, labels in RULES["loop_lag"].bad(swarm)] == ["w0", "w2"]


# --- what is said ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [*ALL, TOO_MANY], ids=lambda rule: rule.name)
def test_what_helps_can_be_done(rule: Rule) -> None:
    """Every command that a rule names is one of ours."""
    for line in re.findall(r"`hyperinfer ([a-z -]+)", rule.do):
        found: click.Command = root
        for word in line.split():
            if word.startswith("-"):
                assert word in {option for one in found.params for option in one.opts}, line
                break
            assert isinstance(found, click.Group), line
            command = found.get_command(click.Context(found), word)
            assert command is not None, line
            found = command
    assert rule.do.endswith(".")
    assert "'" not in rule.summary  # what is quoted is left out of logs


def test_rules_are_named_once() -> None:
    assert len(RULES) == len(ALL)
    assert TOO_MANY.name not in RULES


# --- settings -------------------------------------------------------------------------------------------------


def changed(**settings: RuleSettings) -> tuple[Rule, ...]:
    return rules_of(settings, remember_s=900)


def test_settings_change_a_rule_and_leave_the_others() -> None:
    rules = {rule.name: rule for rule in changed(queue=RuleSettings(threshold=5, hold_s=0, severity="critical"))}
    queue = rules.pop("queue")
    assert (queue.threshold, queue.hold_s, queue.resolve_s, queue.severity) == (5, 0, 120, "critical")
    assert rules == {name: rule for name, rule in RULES.items() if name != "queue"}


def test_a_rule_can_be_off() -> None:
    assert "cpu" not in {rule.name for rule in changed(cpu=RuleSettings(on=False))}


def test_a_rule_that_there_is_not_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"no rule queues\. Did you mean queue"):
        changed(queues=RuleSettings())


def test_a_rule_looks_back_as_far_as_it_is_told() -> None:
    [rule] = [rule for rule in changed(rate_limits=RuleSettings(window_s=60)) if rule.name == "rate_limits"]
    scenario = next(scenario for scenario in SCENARIOS if scenario.rule == "rate_limits")
    assert (
        rule.says({"worker": "home"}, 400) == "home refused 400 requests within 1 minute for limits that people have."
    )
    assert RULES["rate_limits"].says({"worker": "home"}, 400).startswith("home refused 400 requests within 5 minutes")
    when = course(rule.hold_s, rule.resolve_s, rule.window_s)
    [alert] = states(replace(scenario, value=120), replace(rule, threshold=100))[when.well_at - STEP_S]
    assert alert.value == 120


@pytest.mark.parametrize(
    ("rule", "window_s", "said"),
    [
        ("queue", 60, "looks at what is, not back"),
        ("latency", 901, "only 900 s are remembered; raise collect.remember_s"),
    ],
)
def test_a_rule_looks_no_further_back_than_it_can(rule: str, window_s: float, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        changed(**{rule: RuleSettings(window_s=window_s)})


def test_what_is_below_is_bad_below() -> None:
    assert {rule.name for rule in ALL if rule.is_bad is lt} >= {"worker_lost", "disk", "certificate_expires"}


def test_what_a_worker_calls_things_is_shown_as_text_of_a_length() -> None:
    labels = {"worker": "gpu", "backend": "a\n\x1b[31m\u202e" + "x" * 5000}
    rule = replace(RULES["backend_down"], looks_at=lambda view, over_s: [(labels, 0.0)])
    [(_, shown)] = rule.bad(Swarm(now=START, remember_s=60))
    assert dict(shown)["backend"].startswith("a··[31m·xxx")
    assert len(dict(shown)["backend"]) == MAX_LABEL_CHARS


def test_what_is_beyond_all_numbers_is_no_case() -> None:
    """Shares of what workers show may be; JSON has no such number, and what is remembered could not be read again."""
    rule = replace(RULES["cpu"], looks_at=lambda view, over_s: [({"worker": "gpu"}, value) for value in (inf, nan)])
    assert rule.bad(Swarm(now=START, remember_s=60)) == {}
