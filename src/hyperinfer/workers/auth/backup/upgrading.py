"""Upgrade the database ahead of auth's start."""

from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from hyperinfer.errors import StartError
from hyperinfer.facilities.store import migrate, opened
from hyperinfer.facilities.store.failures import start_sentence
from hyperinfer.facilities.store.migrate import newest_revision, revision_of
from hyperinfer.kernel.paths import Paths, locked
from hyperinfer.workers.auth.backup.place import database_url, require_alone
from hyperinfer.workers.auth.config import AuthSettings
from hyperinfer.workers.auth.store import MIGRATIONS


@dataclass(frozen=True, slots=True)
class Upgraded:
    """The revision of before, nothing for a database that was made now, and the one of now."""

    before: str | None
    now: str


async def upgrade(paths: Paths, settings: AuthSettings) -> Upgraded:
    """Bring the database to this version's revision; auth must not run. Raises `StartError`, `ConfigError`."""
    url = database_url(paths, settings)
    with locked(paths):
        async with opened(url) as engine:
            try:
                async with engine.connect() as connection:
                    await require_alone(connection)
                    before = await revision_of(connection)
            except SQLAlchemyError as error:
                raise StartError(start_sentence(url, error)) from error
            await migrate(engine, MIGRATIONS)
    return Upgraded(before, newest_revision(MIGRATIONS))
