"""What rules are called outside."""


def alert_name(rule: str) -> str:
    """A rule's name as Prometheus' alerts have it: `worker_lost` is `HyperinferWorkerLost`."""
    return "Hyperinfer" + "".join(word.capitalize() for word in rule.split("_"))
