"""Waiting until workers can serve, and showing meanwhile what they wait for."""

import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from hyperinfer.cli.manner import colours, note
from hyperinfer.kernel.compose import Running

if TYPE_CHECKING:
    from rich.status import Status

LOOK_EVERY_S = 0.1


class Show(Protocol):
    """Shows what is being waited for."""

    def __call__(self, sentence: str) -> None:
        """Show this sentence instead of the last."""


async def until_ready(workers: Sequence[Running], stop: asyncio.Event) -> bool:
    """Wait until every worker can serve; says whether that came before the stop.

    The reason shown is that of the first worker that has one: put those first that others wait for.
    """
    with _progress() as show:
        while reasons := [reason for worker in workers for reason in worker.not_ready()]:
            show(reasons[0])
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    await stop.wait()
            except TimeoutError:
                continue
            return False
    return not stop.is_set()


class _Line:
    """One line of the terminal."""

    def __init__(self, status: "Status") -> None:
        self._status = status

    def __call__(self, sentence: str) -> None:
        self._status.update(sentence)


@contextmanager
def _progress() -> Iterator[Show]:
    """A line that changes on a terminal; elsewhere a line for each new sentence."""
    if sys.stderr.isatty():
        from rich.console import Console

        console = Console(stderr=True, no_color=colours() is False, highlight=False)
        with console.status("Starting …") as status:
            yield _Line(status)
        return
    said: set[str] = set()

    def once(sentence: str) -> None:
        if sentence not in said and len(said) < 100:
            said.add(sentence)
            note(sentence)

    yield once
