"""What requests cost. Pure."""

from hyperinfer.workers.auth.usage.config import UsageSettings

NANOS = 1_000_000_000
"""Costs are kept in billionths: one token of a cheap model costs less than a millionth."""
PER_MILLION = 1_000_000


class Prices:
    """The configured prices. Without any, nothing has a cost, and there is no currency."""

    def __init__(self, settings: UsageSettings) -> None:
        self._prices = settings.prices
        self.currency = settings.currency if settings.prices else None

    def cost_nanos(self, model: str, *, prompt_tokens: int, completion_tokens: int) -> int | None:
        """What a request costs; nothing where its model has no price."""
        price = self._prices.get(model)
        if price is None:
            return None
        cost = prompt_tokens * price.prompt_per_million + completion_tokens * price.completion_per_million
        return round(cost * (NANOS / PER_MILLION))

    def shown(self, cost_nanos: int | None) -> float | None:
        """A cost as reports show it."""
        return None if cost_nanos is None or self.currency is None else cost_nanos / NANOS
