"""How accounts and API keys are shown, and found by what people call them."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from hyperinfer.cli import limits
from hyperinfer.cli.times import day, minute
from hyperinfer.errors import Conflict, NotFound

if TYPE_CHECKING:
    from hyperinfer.sdk import AsyncClient, Key, User

Facts = Sequence[tuple[str, object]]

ALL = "all"
KEY_TITLES = ("key", "name", "created", "expires", "last used", "state")
KEY_SPARE = ("created", "last used", "expires")
"""What a narrow terminal can do without, first what is missed least."""
USER_TITLES = ("name", "e-mail", "role", "tier", "state", "last log-in")
USER_SPARE = ("last log-in", "state", "tier")


def key_line(key: "Key", now: datetime) -> tuple[object, ...]:
    """A key, under `KEY_TITLES`."""
    return key.prefix, key.name, day(key.created_at), day(key.expires_at), day(key.last_used_at), key.state(now)


def key_facts(key: "Key", now: datetime) -> Facts:
    """All that is to be known of a key."""
    return (
        ("name", key.name),
        ("key", f"{key.prefix}_…"),
        ("id", key.id),
        ("state", key.state(now)),
        ("scopes", " ".join(key.scopes)),
        ("models", " ".join(key.models) or ALL),
        ("limits", limits.words(key.limits) or "those of the account"),
        ("created", minute(key.created_at)),
        ("expires", minute(key.expires_at) or "never"),
        ("last used", minute(key.last_used_at) or "never"),
    )


def found_active_key(wanted: str, keys: "Sequence[Key]") -> "Key":
    """The same, where only keys that are not revoked count."""
    return _one([key for key in keys if key.is_active and _is_called(key, wanted)], "active key")


def found_key(wanted: str, keys: "Sequence[Key]") -> "Key":
    """The key of an id, a name, or the start that lists show. Raises `NotFound`, `Conflict` for more than one."""
    return _one([key for key in keys if _is_called(key, wanted)], "key")


def _is_called(key: "Key", wanted: str) -> bool:
    # A whole key, pasted, is as good as the start of it.
    return wanted in (key.id, key.name) or key.is_of(wanted)


def _one(found: "Sequence[Key]", what: str) -> "Key":
    if not found:
        raise NotFound(f"You have no such {what}. `hyperinfer keys list` shows all.")
    if len(found) > 1:
        raise Conflict(
            "Several of your keys have this name. Give the start of the key that `hyperinfer keys list` shows."
        )
    return found[0]


def user_line(user: "User") -> tuple[object, ...]:
    """An account, under `USER_TITLES`."""
    return user.username, user.email, user.role, user.tier, _state(user), day(user.last_login_at)


def account_facts(user: "User") -> Facts:
    """All that is to be known of an account."""
    return (
        ("user", user.username),
        ("e-mail", user.email),
        ("id", user.id),
        ("role", user.role),
        ("tier", user.tier),
        ("limits", limits.words(user.limits) or "those of the tier"),
        ("state", _state(user)),
        ("created", minute(user.created_at)),
        ("last log-in", minute(user.last_login_at) or "never"),
    )


async def found_user(client: "AsyncClient", wanted: str) -> "User":
    """The account of a user name, an e-mail or an id, for an administrator. Raises `NotFound`."""
    name = wanted.strip().lower()
    if len(name) == 36 and name.count("-") == 4:
        return await client.admin.users.get(name)
    async for user in client.admin.users.each(name):
        if name in (user.username, user.email):
            return user
    raise NotFound(f"There is no account {wanted[:100]!r}. `hyperinfer users list` shows all.")


def _state(user: "User") -> str:
    return "active" if user.is_active else "inactive"
