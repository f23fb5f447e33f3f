"""The first administrator: made, or given a new password, on the data folder itself, by whoever may write there."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hyperinfer.contracts.people import Account, Scope
from hyperinfer.errors import NotFound, StartError
from hyperinfer.facilities.clock import Clock, SystemClock
from hyperinfer.workers.auth.config import AuthSettings
from hyperinfer.workers.auth.models import User
from hyperinfer.workers.auth.names import RESERVED_DOMAIN
from hyperinfer.workers.auth.parts import Parts, parts_on
from hyperinfer.workers.auth.passwords import check_policy
from hyperinfer.workers.auth.powers import Settings
from hyperinfer.workers.auth.registration import Newcomer
from hyperinfer.workers.auth.sessions import end_all
from hyperinfer.workers.auth.shown import account_of
from hyperinfer.workers.auth.store import first_admin
from hyperinfer.workers.auth.tiers import UNLIMITED

ADMIN_NAME = "admin"
ADMIN_EMAIL = f"{ADMIN_NAME}@{RESERVED_DOMAIN}"
PASSWORD_BYTES = 15
SCOPES: tuple[Scope, ...] = ("inference", "usage", "account")
"""What keys made here may do: all that this person may, but for administration, which takes a log-in."""


@dataclass(frozen=True, slots=True)
class NewAdmin:
    """An administrator with what is shown this once. `key` is there for a new account only."""

    account: Account
    password: str = field(repr=False)
    key: str | None = field(repr=False)


async def has_admin(data: Path, settings: AuthSettings) -> bool:
    """Whether there is an administrator."""
    async with _parts(data, settings) as parts:
        return await _first(parts) is not None


async def create_admin(data: Path, settings: AuthSettings, *, password: str | None = None) -> NewAdmin:
    """Make the first administrator; the one there is already gets a new password, as `reset_password` does.

    Without a password one is made up. Raises `BadRequest` for a password that the policy refuses.
    """
    async with _parts(data, settings) as parts:
        admin = await _first(parts)
        if admin is not None:
            return await _reset(parts, admin, password)
        chosen = password or _made_up()
        newcomer = Newcomer(ADMIN_EMAIL, ADMIN_NAME, chosen, role="admin", tier=UNLIMITED)
        made = await parts.registration.add(newcomer, scopes=SCOPES)
        return NewAdmin(account=made.account, password=chosen, key=made.key.key)


async def reset_password(data: Path, settings: AuthSettings, *, password: str | None = None) -> NewAdmin:
    """Give the first administrator a new password, and end every session; API keys stay as they are.

    Raises `NotFound` if there is no administrator, `BadRequest` for a password that the policy refuses.
    """
    async with _parts(data, settings) as parts:
        admin = await _first(parts)
        if admin is None:
            raise NotFound("There is no administrator yet.")
        return await _reset(parts, admin, password)


async def admin_key(data: Path, settings: AuthSettings, *, name: str) -> str | None:
    """A new API key of the first administrator; nothing if there is none."""
    async with _parts(data, settings) as parts:
        admin = await _first(parts)
        if admin is None:
            return None
        return (await parts.keys.generate_here(admin, name, settings=Settings(scopes=SCOPES))).key


async def _first(parts: Parts) -> User | None:
    async with parts.database.read() as rows:
        return await first_admin(rows)


async def _reset(parts: Parts, admin: User, password: str | None) -> NewAdmin:
    chosen = password or _made_up()
    check_policy(chosen, names=(admin.username, admin.email))
    password_hash = await parts.passwords.hash(chosen)
    async with parts.database.change() as change:
        user = await change.session.get_one(User, admin.id)
        user.password_hash = password_hash
        await end_all(change, user.id, _CLOCK.now())
        await change.audit("password.reset", target=user.id, details={"by": "command"})
    return NewAdmin(account=account_of(user), password=chosen, key=None)


_CLOCK: Clock = SystemClock()


@asynccontextmanager
async def _parts(data: Path, settings: AuthSettings) -> AsyncIterator[Parts]:
    _make_folder(data)
    async with parts_on(data, settings, _CLOCK) as parts:
        yield parts


def _make_folder(data: Path) -> None:
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StartError(f"Cannot use the data folder {data}: {error.strerror}.") from error


def _made_up() -> str:
    return secrets.token_urlsafe(PASSWORD_BYTES)
