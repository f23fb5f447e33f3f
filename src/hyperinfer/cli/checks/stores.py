"""Where accounts and shared counts are kept: auth's database, and Redis where one is configured."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from urllib.parse import urlsplit

from hyperinfer.cli.checks import Finding, Here, fail, ok, warn
from hyperinfer.errors import HyperinferError, StartError

DATABASE = "database"
NOT_YET = "none here yet; auth makes it at its first start"
PING_S = 3.0


async def check(here: Here) -> Sequence[Finding]:
    """Everything of this file."""
    return [*[one async for one in _databases(here)], *[one async for one in _redis(here)]]


async def _databases(here: Here) -> AsyncIterator[Finding]:
    settings, paths = here.settings("auth"), here.paths("auth")
    if settings is None or paths is None:
        return
    from sqlalchemy.exc import SQLAlchemyError

    from hyperinfer.facilities.store.engine import file_of, reading
    from hyperinfer.facilities.store.failures import start_sentence
    from hyperinfer.workers.auth.backup.place import database_url, existing, require_newest

    try:
        url = database_url(paths, settings)
    except HyperinferError as error:
        yield database_trouble(error.message, is_configured=True)
        return
    try:
        file = file_of(url)
        if file is not None and not file.exists() and not settings.database_url:
            yield ok(DATABASE, NOT_YET)
            return
        async with existing(paths, settings) as engine, reading(engine).connect() as connection:
            revision = await require_newest(connection)
        kind = "SQLite" if file else f"PostgreSQL at {url.host or 'this machine'}"
        yield ok(DATABASE, f"{kind}, revision {revision}, the newest")
    except HyperinferError as error:
        yield database_trouble(error.message, is_configured=bool(settings.database_url))
    except (SQLAlchemyError, OSError) as error:
        yield fail(DATABASE, start_sentence(url, error), "hyperinfer db check")


def database_trouble(said: str, *, is_configured: bool) -> Finding:
    """Judge why a database cannot be used as it is."""
    if "hyperinfer db upgrade" in said:
        return warn(DATABASE, said, "hyperinfer db upgrade, or start auth, which does the same")
    if "Auth makes" in said:
        return ok(DATABASE, said)
    if "newer version" in said:
        return fail(DATABASE, said, "Install that version of hyperinfer, or restore a backup: `hyperinfer db restore`.")
    return fail(DATABASE, said, "Correct auth.database_url." if is_configured else "hyperinfer db check")


async def _redis(here: Here) -> AsyncIterator[Finding]:
    gateway, inference = here.settings("gateway"), here.settings("inference")
    named = [
        ("gateway.limits.redis_url", gateway.limits.redis_url if gateway else None),
        ("inference.cache.redis_url", inference.cache.redis_url if inference else None),
    ]
    asked: dict[str, list[str]] = {}
    for setting, url in named:
        if url:
            asked.setdefault(url, []).append(setting)
    for url, settings in asked.items():
        yield await _ping(url, " and ".join(settings))


async def _ping(url: str, setting: str) -> Finding:
    from redis.exceptions import RedisError

    from hyperinfer.facilities.redis import connect

    what = "Redis"
    try:
        client, pool = connect(url, setting=setting, max_connections=1, timeout_s=PING_S)
    except StartError as error:
        return fail(what, error.message, f"Correct {setting}.")
    try:
        async with asyncio.timeout(PING_S):
            await client.ping()
    except (RedisError, OSError, TimeoutError) as error:
        why = str(error) or "no answer in time"
        return fail(what, f"The one that {setting} names does not answer: {why}.", f"Start it, or correct {setting}.")
    finally:
        await client.aclose()
        await pool.aclose()
    where = urlsplit(url).hostname or "a socket of this machine"
    return ok(what, f"answers at {where} ({setting})")
