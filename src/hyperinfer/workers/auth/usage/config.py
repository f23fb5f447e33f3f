"""Settings of the ledger of usage."""

from typing import Annotated

from msgspec import Meta

from hyperinfer.kernel.settings import Settings

Amount = Annotated[float, Meta(ge=0, le=100_000)]


class Price(Settings, frozen=True):
    """What a million tokens of a model cost, in the configured currency."""

    prompt_per_million: Amount = 0.0
    completion_per_million: Amount = 0.0


class UsageSettings(Settings, frozen=True):
    """What the ledger can be told.

    `prices` are by model; what a request has cost is told by the price when it is taken in. `currency` is its code after
    ISO 4217. `keep_request_logs_days` is how long single requests are kept; sums by day stay.
    """

    prices: dict[str, Price] = {}
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")] = "USD"
    keep_request_logs_days: Annotated[int, Meta(ge=1, le=3660)] = 90
