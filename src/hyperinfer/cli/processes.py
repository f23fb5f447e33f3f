"""What every long-running command shares: its log, its net, and an end that may come while it is still starting."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from hyperinfer.cli.manner import colours, complain, note
from hyperinfer.facilities import log
from hyperinfer.facilities.net import Net
from hyperinfer.facilities.net.hyperswarm import hyperswarm
from hyperinfer.facilities.net.memory import MemoryNet
from hyperinfer.facilities.net.settings import NetSettings
from hyperinfer.kernel.run import run_process
from hyperinfer.kernel.settings import LogSettings

Work = Callable[[asyncio.Event, asyncio.Event], Awaitable[None]]
"""Does the work until the first event is set; sets the second once it has started."""


def run(work: Work) -> int:
    """Run until done or told to stop; returns the exit code. Told to stop before it has started, it is cancelled."""

    async def main(stop: asyncio.Event) -> None:
        started = asyncio.Event()
        working = asyncio.ensure_future(work(stop, started))
        stopping = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
            if stop.is_set():
                note("Stopping; what is being answered may end (Ctrl-C again quits at once) …")
            if not started.is_set():
                working.cancel()
            await working
        except asyncio.CancelledError:
            if not stop.is_set():
                raise
        finally:
            stopping.cancel()

    return run_process(main, say=complain)


def log_to(settings: LogSettings, folder: Path, *, console_level: log.Level | None = None) -> None:
    """Begin to log as the settings say. Raises `StartError` if the folder cannot be written."""
    log.configure(
        level=settings.level,
        style=settings.format,
        folder=folder,
        console_level=console_level,
        colours=colours() is not False,
        stream=sys.stderr,
    )


@asynccontextmanager
async def net_of(settings: NetSettings) -> AsyncIterator[Net]:
    """The net of this process. Raises `StartError` if the driver cannot be had."""
    if not settings.driver:
        yield MemoryNet()
        return
    async with hyperswarm(settings, say=note) as net:
        yield net
