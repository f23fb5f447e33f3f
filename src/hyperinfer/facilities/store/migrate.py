"""Bring a database to the newest revision, by the Alembic scripts of the package that owns it."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from hyperinfer.errors import StartError


def config_of(scripts: Path) -> Config:
    """Alembic's configuration for a folder of scripts."""
    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    return config


def newest(scripts: Path) -> str | None:
    """The newest revision there is."""
    return ScriptDirectory.from_config(config_of(scripts)).get_current_head()


async def migrate(engine: AsyncEngine, scripts: Path, *, revision: str = "head") -> None:
    """Upgrade a database. Raises `StartError` if it cannot be opened or was written by a newer version."""
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_upgrade, scripts, revision)
    except CommandError as error:
        raise StartError(f"The database was written by a newer version of hyperinfer: {error}.") from error
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error)
        raise StartError(f"The database cannot be opened or upgraded: {reason}.") from error


def _upgrade(connection: Connection, scripts: Path, revision: str) -> None:
    config = config_of(scripts)
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
