"""What the client library answers with: typed, snake_case as the HTTP API, unknown fields passed over."""

from datetime import datetime

import msgspec


class Usage(msgspec.Struct, frozen=True):
    """Tokens as the engine's own tokenizer counted them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0


class Answer(msgspec.Struct, frozen=True):
    """A model's answer. `finish_reason` is `stop`, or `length` where it was cut off; `id` is the completion's."""

    text: str
    model: str
    finish_reason: str = "stop"
    usage: Usage = Usage()
    id: str = ""


class Model(msgspec.Struct, frozen=True):
    """A model that the swarm serves now, summed over its workers; `context_tokens` is what one request may use."""

    id: str
    workers: int = 0
    slots: int = 0
    busy: int = 0
    context_tokens: int = 0


class User(msgspec.Struct, frozen=True):
    """An account as its owner sees it."""

    id: str
    username: str
    email: str
    role: str = "user"
    tier: str = "default"


class Key(msgspec.Struct, frozen=True):
    """An API key without its secret; times are RFC 3339."""

    id: str
    name: str
    prefix: str
    created_at: datetime
    last_used_at: datetime | None = None
    is_active: bool = True


class NewKey(msgspec.Struct, frozen=True):
    """An API key with its secret, `key`, which is shown this once."""

    id: str
    name: str
    key: str = msgspec.field()
    prefix: str = ""

    def __repr__(self) -> str:
        """Without the secret."""
        return f"NewKey(id={self.id!r}, name={self.name!r})"


class Session(msgspec.Struct, frozen=True):
    """A session: `access_token` is valid for `expires_in` seconds."""

    access_token: str
    expires_in: int
    user: User

    def __repr__(self) -> str:
        """Without the token."""
        return f"Session(user={self.user.username!r}, expires_in={self.expires_in})"


class Registered(msgspec.Struct, frozen=True):
    """A new account with its first API key."""

    id: str
    username: str
    email: str
    api_key: NewKey
    role: str = "user"
    tier: str = "default"
