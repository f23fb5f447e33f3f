"""How far something long is: a bar on a terminal, otherwise a line for each tenth. On standard error, as it is no result."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hyperinfer.cli.manner import note
from hyperinfer.kernel.config import plain

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

MEGABYTE = 10**6
ROOMY = 70
"""Columns from where on there is room for a bar; else a percentage has to do."""


class Lines:
    """For what is no terminal: each file, and each tenth of it."""

    def __init__(self) -> None:
        self._name = ""
        self._size_bytes = 0
        self._told = 0

    def file(self, name: str, size_bytes: int) -> None:
        """A file begins."""
        self._name, self._size_bytes, self._told = name, size_bytes, 0
        self.note(f"{name}: {size_bytes / MEGABYTE:,.1f} MB")

    def at(self, come_bytes: int) -> None:
        """So much of it is there."""
        tenth = 10 * come_bytes // self._size_bytes if self._size_bytes else 0
        if tenth > self._told:
            self.note(f"{self._name}: {10 * tenth} %")
        self._told = tenth

    def note(self, text: str) -> None:
        """Something that a person should know."""
        note(text)


class Bar:
    """For a terminal: a bar for each file, with speed and time left."""

    def __init__(self, bars: "Bars") -> None:
        self._bars = bars
        self._task: TaskID | None = None
        self._is_new = False

    def file(self, name: str, size_bytes: int) -> None:
        """A file begins."""
        self._task = self._bars.add_task(name, total=size_bytes, start=False)
        self._is_new = True

    def at(self, come_bytes: int) -> None:
        """So much of it is there."""
        if self._task is None:
            return
        if self._is_new:  # what an earlier try has left is no speed of this one
            self._bars.update(self._task, completed=come_bytes)
            self._bars.start_task(self._task)
            self._is_new = False
        else:
            self._bars.update(self._task, completed=come_bytes)

    def note(self, text: str) -> None:
        """Something that a person should know."""
        self._bars.console.print(text, style="dim", markup=False, highlight=False)


@contextmanager
def showing() -> Iterator[Lines | Bar]:
    """Show how far it is for the length of the block."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        ProgressColumn,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    console = Console(stderr=True, no_color=plain())
    name, left = TextColumn("{task.description}", markup=False), TimeRemainingColumn()
    columns: tuple[ProgressColumn, ...] = (name, BarColumn(), DownloadColumn(), TransferSpeedColumn(), left)
    if console.width < ROOMY:
        columns = (name, TaskProgressColumn(), left)
    with Progress(*columns, console=console) as bars:
        yield Bar(bars)
