"""Alerts in the log: once when one begins to fire, once when it is over, whoever else is told."""

import structlog

from hyperinfer.contracts.metrics import Alert

log = structlog.get_logger(__name__)


def began(alert: Alert) -> None:
    """An alert fires from now on."""
    tell = log.error if alert.severity == "critical" else log.warning
    tell("alert_firing", rule=alert.rule, severity=alert.severity, id=alert.id, why=alert.summary, do=alert.do)


def ended(alert: Alert) -> None:
    """It is over."""
    log.info("alert_resolved", rule=alert.rule, severity=alert.severity, id=alert.id)
