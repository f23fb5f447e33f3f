"""Bring a database to the newest revision, by the Alembic scripts of the package that owns it."""

import asyncio
from asyncio import AbstractEventLoop
from pathlib import Path
from weakref import WeakKeyDictionary

from alembic import command
from alembic.config import Config
from alembic.script.revision import ResolutionError
from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from hyperinfer.errors import StartError
from hyperinfer.facilities.store.engine import writing

DEADLINE_S = 120.0

# Alembic keeps what it is doing in the module, so an event loop migrates one database at a time. Between processes the
# transaction itself is the lock: it is taken before the revision is read.
_turns: WeakKeyDictionary[AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


async def migrate(engine: AsyncEngine, scripts: Path, *, revision: str = "head") -> None:
    """Upgrade a database, wholly or not at all.

    Raises `StartError` if it cannot be opened or was written by a newer version.
    """
    turn = _turns.setdefault(asyncio.get_running_loop(), asyncio.Lock())
    try:
        async with asyncio.timeout(DEADLINE_S), turn, writing(engine).begin() as connection:
            await connection.run_sync(_upgrade, scripts, revision)
    except CommandError as error:
        if isinstance(error.__cause__, ResolutionError):
            raise StartError(f"The database was written by a newer version of hyperinfer: {error}.") from error
        raise StartError(f"The database cannot be upgraded: {error}.") from error
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error)
        raise StartError(f"The database cannot be opened or upgraded: {reason}.") from error
    except TimeoutError as error:
        raise StartError(f"The database could not be upgraded within {DEADLINE_S:.0f} s.") from error


def _upgrade(connection: Connection, scripts: Path, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
