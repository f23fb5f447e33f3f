"""Auth's parts put together on a data folder: for the worker, and for administration on the machine itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.store import migrate, opened, url_of
from hyperinfer.workers.auth.actors import Actors
from hyperinfer.workers.auth.audit.key import audit_key
from hyperinfer.workers.auth.change import AuthDatabase
from hyperinfer.workers.auth.config import AuthSettings
from hyperinfer.workers.auth.feed import Feed
from hyperinfer.workers.auth.guesses import Guesses
from hyperinfer.workers.auth.keys import Keys
from hyperinfer.workers.auth.noting import Notes, noting
from hyperinfer.workers.auth.passwords import Passwords
from hyperinfer.workers.auth.registration import Registration
from hyperinfer.workers.auth.sessions import Sessions
from hyperinfer.workers.auth.signing import Signing
from hyperinfer.workers.auth.store import MIGRATIONS
from hyperinfer.workers.auth.tiers import Tiers

DATABASE = "auth.sqlite"


@dataclass(frozen=True, slots=True)
class Parts:
    """What auth is made of."""

    database: AuthDatabase
    passwords: Passwords
    tiers: Tiers
    signing: Signing
    notes: Notes
    feed: Feed
    actors: Actors
    keys: Keys
    sessions: Sessions
    registration: Registration


@asynccontextmanager
async def parts_on(data: Path, settings: AuthSettings, clock: Clock) -> AsyncIterator[Parts]:
    """Auth on a data folder, its database brought to the newest revision first.

    Safe beside another process on the same folder. Raises `StartError`, `ConfigError`, `IdentityError`.
    """
    tiers = Tiers(settings.tiers)
    async with opened(url_of(settings.database_url, default=data / DATABASE)) as engine:
        await migrate(engine, MIGRATIONS)
        database = AuthDatabase(engine, clock=clock, audit_key=await audit_key(engine, data))
        with Passwords() as passwords:
            async with noting(database, clock) as notes:
                signing = Signing(database, data, clock, settings.sessions)
                await signing.open()
                guesses, actors = Guesses(clock), Actors(database, clock)
                yield Parts(
                    database=database,
                    passwords=passwords,
                    tiers=tiers,
                    signing=signing,
                    notes=notes,
                    feed=Feed(database),
                    actors=actors,
                    keys=Keys(database, actors, tiers, clock),
                    sessions=Sessions(
                        database,
                        actors,
                        signing=signing,
                        passwords=passwords,
                        guesses=guesses,
                        notes=notes,
                        tiers=tiers,
                        clock=clock,
                        settings=settings.sessions,
                    ),
                    registration=Registration(
                        database,
                        passwords=passwords,
                        guesses=guesses,
                        notes=notes,
                        clock=clock,
                        mode=settings.registration,
                    ),
                )
