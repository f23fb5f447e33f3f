"""People as the client library shows them: accounts, sessions, API keys, invitations. Fields are named as the HTTP API's."""

from datetime import datetime
from typing import Literal

import msgspec

Role = Literal["user", "admin"]
Scope = Literal["inference", "usage", "account", "admin"]


class Limits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The most that somebody may use, in requests or tokens; null says nothing, and so limits nothing here.

    `requests_per_interval` counts in any `interval_minutes` minutes.
    """

    requests_per_minute: int | None = None
    requests_per_hour: int | None = None
    tokens_per_minute: int | None = None
    tokens_per_day: int | None = None
    tokens_per_month: int | None = None
    concurrent_requests: int | None = None
    requests_per_interval: int | None = None
    interval_minutes: int | None = None


class User(msgspec.Struct, frozen=True, kw_only=True):
    """An account as its owner and administrators see it; `limits` are those set for it over its tier's."""

    id: str
    username: str
    email: str
    created_at: datetime
    role: str = "user"
    tier: str = "default"
    is_active: bool = True
    last_login_at: datetime | None = None
    limits: Limits | None = None


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A session that has just been opened or renewed: `access_token` is valid for `expires_in` seconds."""

    access_token: str
    expires_in: int
    user: User

    def __repr__(self) -> str:
        """Without the token."""
        return f"Session(user={self.user.username!r}, expires_in={self.expires_in})"


class OpenSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session that lasts. `agent` is what its client called itself, `remote` where it logged in from."""

    id: str
    created_at: datetime
    expires_at: datetime
    agent: str = ""
    remote: str = ""
    current: bool = False


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """An API key without its secret. `models` are those that it may use, none meaning all; `limits` are its own, beside
    those of its holder."""

    id: str
    name: str
    prefix: str
    created_at: datetime
    last_used_at: datetime | None = None
    is_active: bool = True
    expires_at: datetime | None = None
    scopes: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    limits: Limits | None = None

    def state(self, now: datetime) -> str:
        """`active`, `expired` or `revoked`."""
        if not self.is_active:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "active"

    def is_of(self, secret: str) -> bool:
        """Whether a secret, or the start of one, is this key's."""
        return secret == self.prefix or secret.startswith(f"{self.prefix}_")


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """An API key with its secret, `key`, which is shown this once."""

    id: str
    name: str
    prefix: str
    created_at: datetime
    key: str
    expires_at: datetime | None = None
    scopes: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    limits: Limits | None = None

    def __repr__(self) -> str:
        """Without the secret."""
        return f"NewKey(id={self.id!r}, name={self.name!r})"


class Registered(User, frozen=True, kw_only=True):
    """A new account with its first API key."""

    api_key: NewKey


class NewReset(msgspec.Struct, frozen=True, kw_only=True):
    """A token with which a person sets a new password, once. It is shown this once."""

    token: str
    expires_at: datetime
    account_id: str

    def __repr__(self) -> str:
        """Without the token."""
        return f"NewReset(account_id={self.account_id!r}, expires_at={self.expires_at!r})"


class CreatedUser(msgspec.Struct, frozen=True, kw_only=True):
    """A new account; `reset` is there where no password was given."""

    account: User
    reset: NewReset | None = None


class Invite(msgspec.Struct, frozen=True, kw_only=True):
    """An invitation to register; `code` is there only when it has just been made. `state` is `open`, `used`, `expired`
    or `revoked`."""

    id: str
    role: str
    tier: str
    created_at: datetime
    expires_at: datetime
    state: str = "open"
    email: str | None = None
    code: str | None = None

    def __repr__(self) -> str:
        """Without the code."""
        return f"Invite(id={self.id!r}, state={self.state!r})"


class Tier(msgspec.Struct, frozen=True, kw_only=True):
    """A tier and what it limits."""

    name: str
    limits: Limits
