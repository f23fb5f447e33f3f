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
    looks_at=lambda view, over_s: (),
    threshold=0,
    hold_s=0,
    resolve_s=60,
    summary=f"More than {MAX_OPEN} things are not well: {{value}} are not listed.",
    do="Begin with those that are critical; most of the others follow from them.",
    expr=f'count(ALERTS{{alertname=~"Hyperinfer.*"}}) > {MAX_OPEN}',
)
"""What says that there is no room for further alerts."""


def rules_of(settings: Mapping[str, RuleSettings], *, remember_s: float) -> tuple[Rule, ...]:
    """The rules that are on, changed as the settings say. Raises `ConfigError` for a rule that there is not, naming the nearest, and for
    one that is to look back where it does not, or further than is remembered."""
    names = [rule.name for rule in ALL]
    for name in settings:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise ConfigError(f"alerts.rules: there is no rule {name}.{hint}", path="alerts.rules")
    found = [_changed(rule, settings[rule.name], remember_s) if rule.name in settings else rule for rule in ALL]
    return tuple(rule for rule in found if rule.name not in settings or settings[rule.name].on)


def _changed(rule: Rule, settings: RuleSettings, remember_s: float) -> Rule:
    if settings.window_s is not None:
        _check(rule, settings.window_s, remember_s)
    return replace(
        rule,
        threshold=rule.threshold if settings.threshold is None else settings.threshold,
        hold_s=rule.hold_s if settings.hold_s is None else settings.hold_s,
        resolve_s=rule.resolve_s if settings.resolve_s is None else settings.resolve_s,
        window_s=rule.window_s if settings.window_s is None else settings.window_s,
        severity=settings.severity or rule.severity,
    )


def _check(rule: Rule, window_s: float, remember_s: float) -> None:
    path = f"alerts.rules.{rule.name}.window_s"
    if not rule.window_s:
        raise ConfigError(f"{path}: this rule looks at what is, not back.", path=path)
    if window_s > remember_s:
        raise ConfigError(f"{path}: only {remember_s:g} s are remembered; raise collect.remember_s too.", path=path)
