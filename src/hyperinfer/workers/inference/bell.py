"""A bell: whoever waits is woken when something has changed, however often it rang meanwhile."""

import asyncio


class Bell:
    """`ring` costs next to nothing while nobody listens."""

    def __init__(self) -> None:
        self._rung: asyncio.Event | None = None

    def ring(self) -> None:
        """Something has changed."""
        if self._rung is not None:
            self._rung.set()
            self._rung = None

    def listen(self) -> asyncio.Event:
        """An event that the next ring sets. Listen first and look second, and no change is missed."""
        if self._rung is None:
            self._rung = asyncio.Event()
        return self._rung
