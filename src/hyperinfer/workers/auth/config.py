"""The auth worker's settings. Times in seconds."""

from typing import Annotated, Literal

from msgspec import Meta

from hyperinfer.kernel.settings import WorkerSettings
from hyperinfer.kernel.settings_tree import Secret


class AuthSettings(WorkerSettings, frozen=True):
    """What auth can be told.

    `database_url` names the accounts' database; empty means SQLite in the data folder. `registration` closed refuses
    every new account, whatever gateways allow; administrators are made on this machine in any case. `session_s` is how
    long a session lasts. `key_cache_s` is how long a gateway may take an API key for valid without asking again: the
    default, and the way to it, keep a revoked key from being taken for longer than 2 s.
    """

    database_url: Secret | None = None
    registration: Literal["open", "closed"] = "open"
    session_s: Annotated[int, Meta(ge=60, le=90 * 24 * 3600)] = 24 * 3600
    key_cache_s: Annotated[float, Meta(ge=0, le=60)] = 1.5
