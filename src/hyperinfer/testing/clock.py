"""A clock whose hands a test turns."""

import asyncio
from datetime import UTC, datetime, timedelta


class ManualClock:
    """Stands still until it is told to advance; who sleeps on it wakes when their time has come."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._passed_s = 0.0
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    def now(self) -> datetime:
        """The time of day in UTC."""
        return self._start + timedelta(seconds=self._passed_s)

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._passed_s

    async def sleep(self, delay_s: float) -> None:
        """Wait until the clock has been advanced by so many seconds."""
        woken = asyncio.Event()
        self._sleepers.append((self._passed_s + delay_s, woken))
        await woken.wait()

    def advance(self, seconds: float) -> None:
        """Turn the hands."""
        self._passed_s += seconds
        for due, woken in self._sleepers:
            if due <= self._passed_s:
                woken.set()
        self._sleepers = [(due, woken) for due, woken in self._sleepers if due > self._passed_s]
