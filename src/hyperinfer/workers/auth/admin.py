"""The first administrator: made, or given a new password, on the data folder itself, by whoever may read it."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hyperinfer.contracts.auth import Account, Register
from hyperinfer.facilities.clock import Clock, SystemClock
from hyperinfer.facilities.store import migrate, opened
from hyperinfer.facilities.store.engine import url_of
from hyperinfer.workers.auth.config import AuthSettings
from hyperinfer.workers.auth.passwords import Passwords, check_policy
from hyperinfer.workers.auth.service import AuthService, account_of
from hyperinfer.workers.auth.signing import signing_key
from hyperinfer.workers.auth.store import MIGRATIONS, AuthStore

DATABASE = "auth.sqlite"
ADMIN_NAME = "admin"
ADMIN_EMAIL = "admin@hyperinfer.local"
UNLIMITED = "unlimited"
PASSWORD_BYTES = 15


@dataclass(frozen=True, slots=True)
class NewAdmin:
    """An administrator with what is shown this once. `key` is there for a new account only."""

    account: Account
    password: str = field(repr=False)
    key: str | None = field(repr=False)


@asynccontextmanager
async def service_on(data: Path, settings: AuthSettings, clock: Clock) -> AsyncIterator[tuple[AuthService, AuthStore]]:
    """Auth's service on a data folder, its database brought to the newest revision. Raises `StartError`."""
    async with opened(url_of(settings.database_url, default=data / DATABASE)) as engine:
        await migrate(engine, MIGRATIONS)
        store = AuthStore(engine)
        with Passwords() as passwords:
            service = AuthService(
                store,
                passwords=passwords,
                signing=signing_key(data),
                clock=clock,
                session_s=settings.session_s,
                key_cache_s=settings.key_cache_s,
            )
            yield service, store


async def has_admin(data: Path, settings: AuthSettings) -> bool:
    """Whether there is an administrator."""
    async with service_on(data, settings, SystemClock()) as (_, store):
        return await store.first_admin() is not None


async def create_admin(data: Path, settings: AuthSettings, *, password: str | None = None) -> NewAdmin:
    """Make the first administrator, or give the one there is a new password.

    Without a password one is made up. Raises `BadRequest` for a password that the policy refuses.
    """
    await asyncio.to_thread(data.mkdir, parents=True, exist_ok=True, mode=0o700)
    chosen = password or secrets.token_urlsafe(PASSWORD_BYTES)
    async with service_on(data, settings, SystemClock()) as (service, store):
        admin = await store.first_admin()
        if admin is None:
            request = Register(email=ADMIN_EMAIL, password=chosen, username=ADMIN_NAME)
            made = await service.register(request, role="admin", tier=UNLIMITED)
            return NewAdmin(account=made.account, password=chosen, key=made.key.key)
        check_policy(chosen, names=(admin.username, admin.email))
        with Passwords() as passwords:
            await store.set_password(admin.id, await passwords.hash(chosen))
        return NewAdmin(account=account_of(admin), password=chosen, key=None)


async def admin_key(data: Path, settings: AuthSettings, *, name: str) -> str | None:
    """A new API key of the first administrator; nothing if there is none."""
    async with service_on(data, settings, SystemClock()) as (service, store):
        admin = await store.first_admin()
        return (await service.generate_key(admin.id, name)).key if admin else None
