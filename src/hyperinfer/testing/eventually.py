"""Waiting for what can only be seen from outside, such as the state that another process shows."""

import asyncio
from collections.abc import Awaitable, Callable

LOOK_EVERY_S = 0.02


async def eventually(check: Callable[[], Awaitable[bool]], *, timeout_s: float = 10.0) -> None:
    """Look until the check holds. Raises `TimeoutError` if it does not in time.

    For what offers an event to wait for, wait for that instead.
    """
    async with asyncio.timeout(timeout_s):
        while True:
            if await check():
                return
            await asyncio.sleep(LOOK_EVERY_S)
