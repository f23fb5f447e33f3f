"""What it means when a database fails: in words that hold no value and no password, and as an error of ours."""

import socket
from collections.abc import Callable

import asyncpg
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from hyperinfer.errors import BadRequest, HyperinferError, Unavailable

SOON_S = 1
LATER_S = 2

BAD_VALUE_CLASS = "22"
"""SQLSTATEs of values that cannot be stored; their messages quote the value."""
OVERTAKEN = frozenset({"40001", "40P01", "55P03"})
"""Serialization failure, deadlock, a lock that was not free in time: to be tried again from the start."""


def driver_error(error: BaseException) -> BaseException:
    """What the driver itself said."""
    origin = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return origin.__cause__ or origin


def reason_of(error: BaseException) -> str:
    """What is wrong, for the operator's log."""
    said = driver_error(error)
    if isinstance(said, asyncpg.PostgresError):
        kind = type(said).__name__
        # The message alone: details quote the row.
        return kind if _is_bad_value(said) else f"{kind}: {said.args[0] if said.args else ''}"
    if isinstance(said, asyncpg.InterfaceError) and isinstance(said, ValueError):
        return type(said).__name__  # its message quotes the value
    return str(said) or type(said).__name__


def is_overtaken(error: BaseException) -> bool:
    """Whether the transaction lost against another one, and is worth trying again at once."""
    return getattr(driver_error(error), "sqlstate", None) in OVERTAKEN


def failed(error: BaseException) -> HyperinferError:
    """The error that a caller gets."""
    said = driver_error(error)
    if _is_bad_value(said):
        return BadRequest(
            "A value cannot be stored: a text is too long or holds a NUL character, or a number is too big."
        )
    if is_overtaken(error):
        return Unavailable("Too much is being written at once; try again shortly.", retry_after_s=SOON_S)
    return Unavailable("The database cannot be used now; the operator's log says why.", retry_after_s=LATER_S)


def _is_bad_value(said: BaseException) -> bool:
    sqlstate = getattr(said, "sqlstate", None) or ""
    is_drivers = isinstance(said, asyncpg.InterfaceError) and isinstance(said, ValueError)
    return sqlstate.startswith(BAD_VALUE_CLASS) or is_drivers


# --- at start --------------------------------------------------------------------------------------------------


def start_sentence(url: URL, error: BaseException) -> str:
    """Why the database of a URL cannot be used from the start, and what to do."""
    said = driver_error(error)
    for kind, sentence in SENTENCES:
        if isinstance(said, kind):
            return sentence(url)
    where = "" if url.get_backend_name() == "sqlite" else f" at {place(url)}"
    return f"The database{where} cannot be opened or upgraded: {reason_of(error).rstrip('.')}."


def place(url: URL) -> str:
    """Where a server is, without user and password."""
    host = url.host or str(url.query.get("host") or "localhost")
    return f"{host}:{url.port or 5432}"


SENTENCES: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], Callable[[URL], str]], ...] = (
    (
        (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError),
        lambda url: (
            f"PostgreSQL at {place(url)} refuses the user {url.username!r}. Check user and password in database_url, and "
            "what pg_hba.conf on the server allows."
        ),
    ),
    (
        asyncpg.InvalidCatalogNameError,
        lambda url: (
            f"PostgreSQL at {place(url)} has no database {url.database!r}. Make it there: "
            f"createdb --owner {url.username} {url.database}"
        ),
    ),
    (
        asyncpg.InsufficientPrivilegeError,
        lambda url: (
            f"The user {url.username!r} may not make tables in the database {url.database!r}. Make it the owner: "
            f'ALTER DATABASE "{url.database}" OWNER TO "{url.username}";'
        ),
    ),
    (
        asyncpg.TooManyConnectionsError,
        lambda url: f"PostgreSQL at {place(url)} takes no more connections; raise max_connections there.",
    ),
    (
        asyncpg.CannotConnectNowError,
        lambda url: f"PostgreSQL at {place(url)} is starting or stopping; try again shortly.",
    ),
    (
        socket.gaierror,
        lambda url: f"The host {url.host!r} of database_url is not known to this machine. Is it written right?",
    ),
    (
        ConnectionRefusedError,
        lambda url: (
            f"Nothing answers at {place(url)}. Is PostgreSQL running there, and does database_url name the right host and "
            "port?"
        ),
    ),
    (
        FileNotFoundError,
        lambda url: f"There is no socket of PostgreSQL at {place(url)}, or a file that database_url names is missing.",
    ),
    (
        TimeoutError,
        lambda url: (
            f"PostgreSQL at {place(url)} does not answer in time. Is the host right, and does a firewall allow it?"
        ),
    ),
)
