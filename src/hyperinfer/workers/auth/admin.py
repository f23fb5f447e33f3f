"""The first administrator: made, or given a new password, on the data folder itself, by whoever may write there."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hyperinfer.contracts.people import Account
from hyperinfer.errors import NotFound, StartError
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.workers.auth.accounts import RESERVED_DOMAIN
from hyperinfer.workers.auth.config import AuthSettings
from hyperinfer.workers.auth.models import User
from hyperinfer.workers.auth.parts import Parts, parts_on
from hyperinfer.workers.auth.passwords import check_policy
from hyperinfer.workers.auth.shown import account_of

ADMIN_NAME = "admin"
ADMIN_EMAIL = f"{ADMIN_NAME}@{RESERVED_DOMAIN}"
UNLIMITED = "unlimited"
PASSWORD_BYTES = 15


@dataclass(frozen=True, slots=True)
class NewAdmin:
    """An administrator with what is shown this once. `key` is there for a new account only."""

    account: Account
    password: str = field(repr=False)
    key: str | None = field(repr=False)


async def has_admin(data: Path, settings: AuthSettings) -> bool:
    """Whether there is an administrator."""
    async with _parts(data, settings) as parts:
        return await parts.store.first_admin() is not None


async def create_admin(data: Path, settings: AuthSettings, *, password: str | None = None) -> NewAdmin:
    """Make the first administrator; the one there is already gets a new password, as `reset_password` does.

    Without a password one is made up. Raises `BadRequest` for a password that the policy refuses.
    """
    async with _parts(data, settings) as parts:
        admin = await parts.store.first_admin()
        if admin is not None:
            return await _reset(parts, admin, password)
        chosen = password or _made_up()
        made = await parts.service.add_account(
            email=ADMIN_EMAIL, username=ADMIN_NAME, password=chosen, role="admin", tier=UNLIMITED
        )
        return NewAdmin(account=made.account, password=chosen, key=made.key.key)


async def reset_password(data: Path, settings: AuthSettings, *, password: str | None = None) -> NewAdmin:
    """Give the first administrator a new password; API keys and sessions stay as they are.

    Raises `NotFound` if there is no administrator, `BadRequest` for a password that the policy refuses.
    """
    async with _parts(data, settings) as parts:
        admin = await parts.store.first_admin()
        if admin is None:
            raise NotFound("There is no administrator yet.")
        return await _reset(parts, admin, password)


async def admin_key(data: Path, settings: AuthSettings, *, name: str) -> str | None:
    """A new API key of the first administrator; nothing if there is none."""
    async with _parts(data, settings) as parts:
        admin = await parts.store.first_admin()
        return (await parts.keys.generate(admin.id, name)).key if admin else None


async def _reset(parts: Parts, admin: User, password: str | None) -> NewAdmin:
    chosen = password or _made_up()
    check_policy(chosen, names=(admin.username, admin.email))
    await parts.store.set_password(admin.id, await parts.passwords.hash(chosen))
    return NewAdmin(account=account_of(admin), password=chosen, key=None)


@asynccontextmanager
async def _parts(data: Path, settings: AuthSettings) -> AsyncIterator[Parts]:
    _make_folder(data)
    async with parts_on(data, settings, SystemClock()) as parts:
        yield parts


def _make_folder(data: Path) -> None:
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StartError(f"Cannot use the data folder {data}: {error.strerror}.") from error


def _made_up() -> str:
    return secrets.token_urlsafe(PASSWORD_BYTES)
