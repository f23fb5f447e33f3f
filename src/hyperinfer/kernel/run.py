"""Run a process: event loop, signals, exit codes, and one sentence for every failure."""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from hyperinfer.errors import HyperinferError
from hyperinfer.facilities import log as logs
from hyperinfer.facilities.log import tracebacks
from hyperinfer.kernel import open_files
from hyperinfer.kernel.config import debug

EXIT_FAILURE = 1
EXIT_INTERRUPTED = 130

COLLECT_AFTER = (50_000, 20, 50)
"""Allocations between collections of the three generations: a request makes hundreds of objects that die by themselves."""

log = structlog.get_logger(__name__)

Main = Callable[[asyncio.Event], Coroutine[Any, Any, None]]
"""What a process does; it returns once it has stopped, which the event asks it to."""


def run_process(main: Main, *, say: Callable[[str], None]) -> int:
    """Run until done or told to stop (SIGINT, SIGTERM); returns the exit code.

    The first signal asks for an orderly stop, a second one ends the process at once. `say` is given one sentence for a
    failure; where it happened is shown only with `DEBUG=1`, and then without what exceptions say.
    """
    open_files.allow()
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_until_signalled(main))
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the edge of the process: nothing leaves it but a sentence
        for leaf in leaves(error):
            say(leaf.message if isinstance(leaf, HyperinferError) else _unexpected(leaf))
        if debug():
            print(tracebacks.told(error), file=sys.stderr)  # noqa: T201 - the process ends, and so has its log
        return EXIT_FAILURE
    finally:
        logs.flush()
    return 0


def _unexpected(error: BaseException) -> str:
    where = tracebacks.place(error)
    return f"hyperinfer failed: {tracebacks.named(error)}{f' at {where}' if where else ''}. DEBUG=1 shows how it came to that."


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The fastest event loop that this platform has."""
    if sys.platform == "win32":
        return None
    import uvloop  # not on Windows

    return uvloop.new_event_loop


def settle() -> None:
    """Take all that exists now out of garbage collection's sight: a process that has started keeps it to the end.

    A full collection would otherwise look at every module again and again, and hold up answers for some 80 ms each time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


def leaves(error: BaseException) -> list[BaseException]:
    """The errors inside a group, however deep."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for child in error.exceptions for leaf in leaves(child)]
    return [error]


async def _until_signalled(main: Main) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def ask(number: int) -> None:
        if stop.is_set():
            # Whoever asks twice does not want to wait; children end with us by themselves.
            os._exit(128 + number)
        log.info("stopping", signal=signal.Signals(number).name)
        stop.set()

    if sys.platform == "win32":
        signal.signal(signal.SIGINT, lambda number, _frame: loop.call_soon_threadsafe(ask, number))
        await main(stop)
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ask, number)
    await main(stop)
