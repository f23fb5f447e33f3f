"""The rules: one file for each theme, and all of them as the settings have them."""

import difflib
from collections.abc import Mapping
from dataclasses import replace

from hyperinfer.errors import ConfigError
from hyperinfer.protocol.alerts import MAX_OPEN
from hyperinfer.workers.metrics.alerts.config import RuleSettings
from hyperinfer.workers.metrics.alerts.notifying.notice import RANKS
from hyperinfer.workers.metrics.alerts.rule import Rule
from hyperinfer.workers.metrics.alerts.rules import accounts, machines, net, requests, workers

ALL: tuple[Rule, ...] = tuple(
    sorted(
        (*workers.RULES, *requests.RULES, *accounts.RULES, *machines.RULES, *net.RULES),
        key=lambda rule: RANKS[rule.severity],
    )
)
"""Every rule that looks at metrics, those that matter most first."""
TOO_MANY = Rule(
    name="too_many_alerts",
    severity="critical",
    looks_at=lambda view: (),
    threshold=0,
    hold_s=0,
    resolve_s=60,
    summary=f"More than {MAX_OPEN} things are not well: {{value}} are not listed.",
    do="Begin with those that are critical; most of the others follow from them.",
    expr=f'count(ALERTS{{alertname=~"Hyperinfer.*"}}) > {MAX_OPEN}',
)
"""What says that there is no room for further alerts."""


def rules_of(settings: Mapping[str, RuleSettings]) -> tuple[Rule, ...]:
    """The rules that are on, changed as the settings say. Raises `ConfigError` for a rule that there is not, naming the nearest."""
    names = [rule.name for rule in ALL]
    for name in settings:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise ConfigError(f"alerts.rules: there is no rule {name}.{hint}", path="alerts.rules")
    found = [_changed(rule, settings[rule.name]) if rule.name in settings else rule for rule in ALL]
    return tuple(rule for rule in found if rule.name not in settings or settings[rule.name].on)


def _changed(rule: Rule, settings: RuleSettings) -> Rule:
    return replace(
        rule,
        threshold=rule.threshold if settings.threshold is None else settings.threshold,
        hold_s=rule.hold_s if settings.hold_s is None else settings.hold_s,
        resolve_s=rule.resolve_s if settings.resolve_s is None else settings.resolve_s,
        severity=settings.severity or rule.severity,
    )
