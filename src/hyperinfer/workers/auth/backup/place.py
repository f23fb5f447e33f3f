"""Auth's database as the commands that look after it find it: nothing is made, and nothing upgraded."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hyperinfer.errors import StartError
from hyperinfer.facilities.store import file_of, opened, url_of
from hyperinfer.facilities.store.migrate import newest_revision, revision_of, revisions
from hyperinfer.facilities.store.postgres import APPLICATION
from hyperinfer.kernel.paths import Paths
from hyperinfer.workers.auth.config import AuthSettings
from hyperinfer.workers.auth.parts import DATABASE
from hyperinfer.workers.auth.store import MIGRATIONS


def database_url(paths: Paths, settings: AuthSettings) -> URL:
    """Where the database is. Raises `ConfigError`."""
    return url_of(settings.database_url, default=paths.data / DATABASE)


@asynccontextmanager
async def existing(paths: Paths, settings: AuthSettings) -> AsyncIterator[AsyncEngine]:
    """The database for the length of the block. Raises `StartError` where there is none, `ConfigError`."""
    url = database_url(paths, settings)
    file = file_of(url)
    if file is not None and not file.is_file():
        raise StartError(f"There is no database yet: {file} does not exist. Auth makes it when it starts first.")
    async with opened(url) as engine:
        yield engine


async def require_newest(connection: AsyncConnection) -> str:
    """The revision of a database, which must be the one that this version works with. Raises `StartError`."""
    revision, newest = await revision_of(connection), newest_revision(MIGRATIONS)
    if revision is None:
        raise StartError("The database has no tables yet. Auth makes them when it starts first.")
    if revision not in revisions(MIGRATIONS):
        raise StartError(f"The database was written by a newer version of hyperinfer (revision {revision}).")
    if revision != newest:
        raise StartError(
            f"The database is at revision {revision}, and this version works with {newest}. `hyperinfer db upgrade` "
            "brings it up to date."
        )
    return revision


async def require_alone(connection: AsyncConnection) -> None:
    """On PostgreSQL, see that nobody else of ours is connected. Raises `StartError`.

    SQLite is in a folder that the caller holds.
    """
    if connection.dialect.name != "postgresql":
        return
    others = await connection.scalar(
        text(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = :ours "
            "AND pid <> pg_backend_pid()"
        ),
        {"ours": APPLICATION},
    )
    if others:
        raise StartError("Auth runs on this database, here or on another machine. Stop it first.")
