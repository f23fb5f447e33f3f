"""Auth's parts put together on a data folder: for the worker, and for administration on the machine itself."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from sqlalchemy.ext.asyncio import AsyncEngine

from hyperinfer.facilities.clock import Clock
from hyperinfer.facilities.store import Database, migrate, opened, replica_url_of, url_of
from hyperinfer.workers.auth.accounts import Accounts
from hyperinfer.workers.auth.actors import Actors
from hyperinfer.workers.auth.administration import Administration
from hyperinfer.workers.auth.aliases import Aliases
from hyperinfer.workers.auth.audit.key import audit_key
from hyperinfer.workers.auth.audit.reading import Readable
from hyperinfer.workers.auth.change import AuthDatabase
from hyperinfer.workers.auth.config import AuthSettings
from hyperinfer.workers.auth.feed import Feed
from hyperinfer.workers.auth.guesses import Guesses
from hyperinfer.workers.auth.invites import PersonInvitations
from hyperinfer.workers.auth.keys import Keys
from hyperinfer.workers.auth.noting import Notes, noting
from hyperinfer.workers.auth.passwords import Passwords
from hyperinfer.workers.auth.registration import Registration
from hyperinfer.workers.auth.resets import Resets
from hyperinfer.workers.auth.sessions import Sessions
from hyperinfer.workers.auth.signing import Signing
from hyperinfer.workers.auth.store import MIGRATIONS, costliest_bcrypt
from hyperinfer.workers.auth.tiers import Tiers
from hyperinfer.workers.auth.usage.parts import UsageParts

DATABASE = "auth.sqlite"


@dataclass(frozen=True, slots=True)
class Parts:
    """What auth is made of."""

    database: AuthDatabase
    passwords: Passwords
    tiers: Tiers
    aliases: Aliases
    signing: Signing
    notes: Notes
    feed: Feed
    actors: Actors
    keys: Keys
    sessions: Sessions
    registration: Registration
    accounts: Accounts
    resets: Resets
    invitations: PersonInvitations
    administration: Administration
    usage: UsageParts


@asynccontextmanager
async def parts_on(data: Path, settings: AuthSettings, clock: Clock) -> AsyncIterator[Parts]:
    """Auth on a data folder, its database brought to the newest revision first.

    Safe beside another process on the same folder. Raises `StartError`, `ConfigError`, `IdentityError`.
    """
    tiers, aliases = Tiers(settings.tiers), Aliases(settings.aliases)
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(opened(url_of(settings.database_url, default=data / DATABASE)))
        await migrate(engine, MIGRATIONS)
        database = AuthDatabase(engine, clock=clock, audit_key=await audit_key(engine, data))
        replica = await _replica(stack, engine, settings)
        signing = Signing(database, data, clock, settings.sessions)
        await signing.open()
        passwords = stack.enter_context(Passwords())
        async with database.read() as rows:
            passwords.rounds = await costliest_bcrypt(rows)
        notes = await stack.enter_async_context(noting(database, clock))
        guesses, actors = Guesses(clock), Actors(database, clock)
        asked = _Asked(passwords=passwords, guesses=guesses, notes=notes, clock=clock)
        registration = Registration(database, tiers=tiers, mode=settings.registration, **asked)
        yield Parts(
            database=database,
            passwords=passwords,
            tiers=tiers,
            aliases=aliases,
            signing=signing,
            notes=notes,
            feed=Feed(database),
            actors=actors,
            keys=Keys(database, actors, tiers, clock),
            sessions=Sessions(database, actors, signing=signing, tiers=tiers, settings=settings.sessions, **asked),
            registration=registration,
            accounts=Accounts(database, actors, **asked),
            resets=Resets(database, actors, **asked),
            invitations=PersonInvitations(actors, tiers, clock),
            administration=Administration(database, actors, registration=registration, known=tiers, clock=clock),
            usage=UsageParts.on(database, replica=replica, clock=clock, settings=settings.usage),
        )


class _Asked(TypedDict):
    """What everything needs that a stranger can ask for."""

    passwords: Passwords
    guesses: Guesses
    notes: Notes
    clock: Clock


class _Replica:
    """What reports are read from: the replica, or while it cannot be reached the database itself."""

    def __init__(self, database: Database) -> None:
        self.read = database.read_replica


async def _replica(stack: AsyncExitStack, engine: AsyncEngine, settings: AuthSettings) -> Readable | None:
    url = replica_url_of(settings.database_read_url)
    if url is None:
        return None
    return _Replica(Database(engine, replica=await stack.enter_async_context(opened(url))))
