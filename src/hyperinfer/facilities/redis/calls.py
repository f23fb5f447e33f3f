"""Calls to Redis that go out together: what is asked in one turn of the event loop is one write and one read.

A pool of connections would cost twice the CPU, and its waiting is not in turn: under load one call waits for long.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

MOST_AT_ONCE = 256

Call = tuple[Sequence[Any], "asyncio.Future[Any]"]


class Calls:
    """Sends one batch at a time while `run` runs; what is asked meanwhile is the next."""

    def __init__(self, redis: "Redis", *, timeout_s: float) -> None:
        self._redis = redis
        self._timeout_s = timeout_s
        self._waiting: list[Call] = []
        self._is_asked = asyncio.Event()

    async def call(self, *command: Any) -> Any:
        """Redis' reply to a command. Raises `RedisError`, `OSError` or `TimeoutError`."""
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((command, reply))
        self._is_asked.set()
        async with asyncio.timeout(self._timeout_s):
            return await reply

    async def run(self) -> None:
        """Send what is asked until cancelled."""
        while True:
            await self._is_asked.wait()
            batch = self._waiting[:MOST_AT_ONCE]
            del self._waiting[:MOST_AT_ONCE]
            if not self._waiting:
                self._is_asked.clear()
            await self._send(batch)

    async def _send(self, batch: Sequence[Call]) -> None:
        batch = [call for call in batch if not call[1].done()]  # who has gone is asked for nothing
        if not batch:
            return
        try:
            async with asyncio.timeout(self._timeout_s), self._redis.pipeline(transaction=False) as pipeline:
                for command, _ in batch:
                    pipeline.execute_command(*command)
                replies = await pipeline.execute(raise_on_error=False)
        except (RedisError, OSError, TimeoutError) as error:
            # Nor need those wait that were asked since.
            batch = [*batch, *self._waiting]
            self._waiting.clear()
            replies = [error] * len(batch)
        for (_, reply), said in zip(batch, replies, strict=True):
            if reply.done():
                continue
            if isinstance(said, Exception):
                reply.set_exception(said)
            else:
                reply.set_result(said)
