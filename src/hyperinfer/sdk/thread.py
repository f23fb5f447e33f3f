"""An event loop in a thread of its own, for code without asyncio."""

import asyncio
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

ABANDONED_S = 5.0
"""How long the end of a loop that nobody has closed may take."""


class LoopThread:
    """An event loop in a thread, to which coroutines are handed and whose results are waited for. From any thread."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="hyperinfer client", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The coroutine's result; a KeyboardInterrupt while waiting cancels it.

        Raises `RuntimeError` in a process that was forked since: its copy of the thread does not run.
        """
        if os.getpid() != self._pid:
            work.close()
            raise RuntimeError("This client was made before the process was forked; make one in each process.")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """End the loop and the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def abandon(self, last: Coroutine[Any, Any, None]) -> None:
        """End the loop after a last piece of work, where nobody has closed it: as its owner is collected, or at exit."""
        if os.getpid() != self._pid or self._loop.is_closed():
            last.close()
            return
        ended = asyncio.run_coroutine_threadsafe(last, self._loop)
        ended.add_done_callback(lambda _: self._loop.call_soon_threadsafe(self._loop.stop))
        if threading.current_thread() is not self._thread:  # the collector may run in any thread
            self._thread.join(ABANDONED_S)
            if not self._thread.is_alive():
                self._loop.close()
