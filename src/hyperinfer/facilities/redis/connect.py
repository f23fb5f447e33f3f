"""A client of Redis that tries nothing twice: whoever asks has a deadline, and something else to do."""

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from hyperinfer.errors import StartError


def connect(
    url: str, *, setting: str, max_connections: int, timeout_s: float
) -> "tuple[Redis, BlockingConnectionPool]":
    """A client and its connections, made when they are needed. Every call needs a deadline of its own.

    Raises `StartError` naming the setting if its value is no address.
    """
    try:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=max_connections,
            timeout=timeout_s,
            socket_timeout=None,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError as error:
        raise StartError(f"{setting} is no address of a Redis: redis://:PASSWORD@HOST:PORT/0.") from error
    return Redis(connection_pool=pool), pool
