"""The auth worker's settings. Times in seconds."""

from hyperinfer.kernel.settings import WorkerSettings
from hyperinfer.kernel.settings_tree import Secret


class AuthSettings(WorkerSettings, frozen=True):
    """What auth can be told.

    `database_url` names the accounts' database; empty means SQLite in the data folder. `session_s` is how long a
    session lasts. `key_cache_s` is how long a gateway may take an API key for valid without asking again; a revoked
    key is refused everywhere after that time.
    """

    database_url: Secret | None = None
    session_s: int = 24 * 3600
    key_cache_s: float = 2.0
