"""Writes deploy/prometheus/rules.yml, rules_test.yml and docs/reference/alerts.md from the metrics worker's rules; a test holds them together."""

import json
import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from hyperinfer.testing.alerts import SCENARIOS, STEP_S, Scenario, Series, course
from hyperinfer.workers.metrics.alerts.names import alert_name
from hyperinfer.workers.metrics.alerts.rule import Rule, below
from hyperinfer.workers.metrics.alerts.rules import TOO_MANY, accounts, machines, net, requests, workers
from hyperinfer.workers.metrics.alerts.shown import TEMPLATES, span

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "deploy" / "prometheus"
PAGE = ROOT / "docs" / "reference" / "alerts.md"
THEMES = {
    "workers": workers.RULES,
    "requests": requests.RULES,
    "accounts": accounts.RULES,
    "machines": machines.RULES,
    "net": net.RULES,
    "alerts": (TOO_MANY,),
}
RULES = {rule.name: rule for rules in THEMES.values() for rule in rules}

HEAD = """# {what}
# Written by scripts/prometheus_rules.py from the metrics worker's own rules; change those, then run it again.
"""
RULES_HEAD = HEAD.format(what="The alerts of hyperinfer, for Prometheus 2.42 or newer. Thresholds are the defaults.")
TESTS_HEAD = HEAD.format(what="What each alert is made for: `promtool test rules rules_test.yml`.")
PAGE_HEAD = """# Alerts

<!-- Written by scripts/prometheus_rules.py from the rules of the metrics worker; change those, then run it again. -->

What the metrics worker takes for not well, from which value on (`threshold`), for how long until it fires (`hold_s`), and for how long it has to be well again until
that is over (`resolve_s`). Each can be changed, or switched off, by name: [Alerts](../guides/alerts.md). In Prometheus the same rule is called `HyperinferWorkerLost` where
it is `worker_lost` here.
"""


def rules() -> str:
    """The rules."""
    return RULES_HEAD + "groups:\n" + "".join(line for theme in THEMES for line in _group(theme))


def tests() -> str:
    """Their tests."""
    head = f"rule_files:\n  - rules.yml\nevaluation_interval: {STEP_S}s\ntests:\n"
    return TESTS_HEAD + head + "".join(line for scenario in SCENARIOS for line in _test(scenario))


def page() -> str:
    """The page of the reference."""
    return PAGE_HEAD + "".join(line for theme in THEMES for line in _section(theme))


def _section(theme: str) -> Iterator[str]:
    yield f"\n## {theme.capitalize()}\n\n| rule | | says | what helps |\n|---|---|---|---|\n"
    for rule in THEMES[theme]:
        limit = f"{'below' if rule.is_bad is below else 'above'} {rule.shown(rule.threshold)}"
        times = f"{rule.hold_s:g} s, {rule.resolve_s:g} s"
        said = re.sub(r"\{(\w+)\}", r"*\1*", rule.summary.replace("{window}", span(rule.window_s)))
        yield f"| `{rule.name}` | {rule.severity}, {limit}, {times} | {said} | {rule.do} |\n"


def _group(theme: str) -> Iterator[str]:
    yield f"  - name: hyperinfer-{theme}\n    rules:\n"
    for rule in THEMES[theme]:
        yield f"      - alert: {alert_name(rule.name)}\n"
        yield f"        expr: {_quoted(expression(rule))}\n"
        yield f"        for: {rule.hold_s:g}s\n"
        if rule.resolve_s:
            yield f"        keep_firing_for: {rule.resolve_s:g}s\n"
        yield f"        labels:\n          severity: {rule.severity}\n"
        yield f"        annotations:\n          summary: {_quoted(template(rule))}\n"
        yield f"          description: {_quoted(rule.do)}\n"


def expression(rule: Rule) -> str:
    """The rule in PromQL."""
    return rule.expr.replace("THRESHOLD", f"{rule.threshold:.12g}").replace("WINDOW", f"{rule.window_s / 60:g}m")


def template(rule: Rule) -> str:
    """Its sentence as Prometheus fills it in."""
    said = rule.summary.replace("{window}", span(rule.window_s))
    said = re.sub(r"\{(?!value\})(\w+)\}", r"{{ $labels.\1 }}", said)
    return said.replace("{value}", TEMPLATES[rule.shown])


def _test(scenario: Scenario) -> Iterator[str]:
    rule = RULES[scenario.rule]
    when = course(rule.hold_s, rule.resolve_s, rule.window_s)
    yield f"  - name: {rule.name}\n    interval: {STEP_S}s\n    input_series:\n"
    for series in scenario.series:
        yield f"      - series: {_quoted(_labelled(series, scenario))}\n"
        yield f"        values: {_quoted(_values(series.values(*when.steps)))}\n"
    yield "    alert_rule_test:\n"
    for at_s, fires in moments(rule):
        yield f"      - eval_time: {at_s}s\n        alertname: {alert_name(rule.name)}\n"
        yield from _expected(rule, scenario) if fires else ("        exp_alerts: []\n",)


def moments(rule: Rule) -> Iterator[tuple[int, bool]]:
    """When it is looked whether a rule fires, and whether it does: before and after it begins, before and after it ends.

    What looks at newest values does so on the step; what looks back takes a while to see.
    """
    when = course(rule.hold_s, rule.resolve_s, rule.window_s)
    hold_s, resolve_s = (-(-int(time_s) // STEP_S) * STEP_S for time_s in (rule.hold_s, rule.resolve_s))
    yield when.ill_at + max(0, hold_s - STEP_S) - (0 if hold_s else STEP_S), False
    if not rule.window_s:
        yield when.ill_at + hold_s, True
    yield when.well_at - STEP_S, True
    if not rule.window_s and resolve_s:
        yield when.well_at + resolve_s - STEP_S, True
        yield when.well_at + resolve_s, False
    yield when.ends_at - STEP_S, False


def _expected(rule: Rule, scenario: Scenario) -> Iterator[str]:
    yield "        exp_alerts:\n          - exp_labels:\n"
    for name, value in (("severity", rule.severity), *scenario.labels.items()):
        yield f"              {name}: {_quoted(value)}\n"
    yield "            exp_annotations:\n"
    yield f"              summary: {_quoted(rule.says(scenario.labels, scenario.value))}\n"
    yield f"              description: {_quoted(rule.do)}\n"


def _labelled(series: Series, scenario: Scenario) -> str:
    """A series as the metrics worker serves it."""
    name, _, labels = series.text.rstrip("}").partition("{")
    own = re.sub(r"(^|,)(worker|wtype)=", r"\1exported_\2=", labels)
    added = f'worker="home",wtype="{scenario.wtype}"'
    return f"{name}{{{added}{',' + own if own else ''}}}"


def _values(values: list[float | None]) -> str:
    """Values as promtool reads them: runs of the same step between two are one word."""
    words: list[str] = []
    for is_there, run in groupby(values, key=lambda value: value is not None):
        found = list(run)
        words += (
            _runs([value for value in found if value is not None]) if is_there else ["stale", *"_" * (len(found) - 1)]
        )
    return " ".join(words)


def _runs(values: list[float]) -> Iterator[str]:
    at = 0
    while at < len(values):
        end = at + 1
        step = values[end] - values[at] if end < len(values) else 0.0
        while end < len(values) and values[end] - values[end - 1] == step:
            end += 1
        yield f"{values[at]:.15g}{step:+.15g}x{end - at - 1}" if end - at > 1 else f"{values[at]:.15g}"
        at = end


def _quoted(text: str) -> str:
    """A text in YAML: JSON's are, where it cannot stand between single quotes as it is."""
    return json.dumps(text, ensure_ascii=False) if "'" in text else f"'{text}'"


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "rules.yml").write_text(rules(), encoding="utf-8")
    (FOLDER / "rules_test.yml").write_text(tests(), encoding="utf-8")
    PAGE.write_text(page(), encoding="utf-8")
