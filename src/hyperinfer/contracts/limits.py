"""What limits a person or an API key, and what a request counts for."""

from typing import Annotated

from msgspec import Meta
from msgspec.structs import asdict

from hyperinfer.contracts.method import Wire

Count = Annotated[int, Meta(ge=0, le=10**15)] | None


class Limits(Wire, frozen=True):
    """Each field is a most, in requests or tokens; null says nothing: what is below decides, or nothing limits.

    `requests_per_interval` counts in any `interval_minutes` minutes, 60 where that is null.
    """

    requests_per_minute: Count = None
    requests_per_hour: Count = None
    tokens_per_minute: Count = None
    tokens_per_day: Count = None
    tokens_per_month: Count = None
    concurrent_requests: Count = None
    requests_per_interval: Count = None
    interval_minutes: Annotated[int, Meta(ge=1, le=44640)] | None = None

    def over(self, below: "Limits") -> "Limits":
        """These laid over others: what is said here wins."""
        return Limits(**{**asdict(below), **{name: value for name, value in asdict(self).items() if value is not None}})


class Subject(Wire, frozen=True):
    """One thing that a request counts for: `user:<id>` or `key:<id>`, with its limits."""

    id: str
    limits: Limits
