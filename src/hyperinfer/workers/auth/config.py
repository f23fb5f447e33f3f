"""The auth worker's settings. Times in seconds."""

from typing import Annotated, Literal

from msgspec import Meta
from msgspec.structs import asdict

from hyperinfer.contracts.limits import Count, Limits
from hyperinfer.kernel.settings import Settings, WorkerSettings
from hyperinfer.kernel.settings_tree import Secret
from hyperinfer.workers.auth.usage.config import UsageSettings

DAY_S = 24 * 3600


class TierLimits(Settings, frozen=True):
    """What a tier allows at most, in requests or tokens; null limits nothing.

    `requests_per_interval` counts in any `interval_minutes` minutes.
    """

    requests_per_minute: Count = None
    requests_per_hour: Count = None
    tokens_per_minute: Count = None
    tokens_per_day: Count = None
    tokens_per_month: Count = None
    concurrent_requests: Count = None
    requests_per_interval: Count = None
    interval_minutes: Annotated[int, Meta(ge=1, le=44640)] | None = None

    @property
    def limits(self) -> Limits:
        """The same, as the contract has it."""
        return Limits(**asdict(self))


class TierSettings(Settings, frozen=True):
    """The tiers: three that there always are, and `further` ones by name."""

    default: TierLimits = TierLimits(requests_per_minute=10, requests_per_hour=100)
    premium: TierLimits = TierLimits(requests_per_hour=1000)
    unlimited: TierLimits = TierLimits()
    further: dict[str, TierLimits] = {}


class SessionSettings(Settings, frozen=True):
    """How long a session lasts unless it is refreshed, how long it lasts at most, and how long a key signs tokens."""

    lasts_s: Annotated[int, Meta(ge=60, le=90 * DAY_S)] = DAY_S
    at_most_s: Annotated[int, Meta(ge=60, le=365 * DAY_S)] = 30 * DAY_S
    rotate_key_s: Annotated[int, Meta(ge=3600, le=365 * DAY_S)] = 30 * DAY_S


class AuthSettings(WorkerSettings, frozen=True):
    """What auth can be told.

    `database_url` names the accounts' database; empty means SQLite in the data folder. `database_read_url` names a
    replica of it that usage and logs are read from. `registration` says who may make an account, whatever gateways
    allow: anybody, who has an invitation, or nobody; administrators are made on this machine in any case. `aliases` are
    names that requests may use for models, the best first: `{"llama3": ["llama3.1:8b", "smollm2"]}`.
    """

    database_url: Secret | None = None
    database_read_url: Secret | None = None
    registration: Literal["open", "invite", "closed"] = "open"
    sessions: SessionSettings = SessionSettings()
    tiers: TierSettings = TierSettings()
    aliases: dict[str, tuple[str, ...]] = {}
    usage: UsageSettings = UsageSettings()
