"""Auth's parts put together on a data folder: for the worker, and for administration on the machine itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.store import migrate, opened, url_of
from hyperinfer.workers.auth.config import AuthSettings
from hyperinfer.workers.auth.keys import Keys
from hyperinfer.workers.auth.passwords import Passwords
from hyperinfer.workers.auth.service import AuthService
from hyperinfer.workers.auth.signing import signing_key
from hyperinfer.workers.auth.store import MIGRATIONS, AuthStore

DATABASE = "auth.sqlite"


@dataclass(frozen=True, slots=True)
class Parts:
    """What auth is made of."""

    store: AuthStore
    passwords: Passwords
    keys: Keys
    service: AuthService


@asynccontextmanager
async def parts_on(data: Path, settings: AuthSettings, clock: Clock) -> AsyncIterator[Parts]:
    """Auth on a data folder, its database brought to the newest revision first.

    Safe beside another process on the same folder. Raises `StartError`, `ConfigError`, `IdentityError`.
    """
    async with opened(url_of(settings.database_url, default=data / DATABASE)) as engine:
        await migrate(engine, MIGRATIONS)
        store = AuthStore(engine)
        keys = Keys(store, clock=clock, cache_s=settings.key_cache_s)
        with Passwords() as passwords:
            service = AuthService(
                store,
                keys=keys,
                passwords=passwords,
                signing=await signing_key(store, data, clock),
                clock=clock,
                session_s=settings.session_s,
                cache_s=settings.key_cache_s,
                is_open=settings.registration == "open",
            )
            yield Parts(store=store, passwords=passwords, keys=keys, service=service)
