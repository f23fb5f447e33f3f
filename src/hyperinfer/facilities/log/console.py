"""Standard error as an outlet of the log: readable on a terminal, JSON for whoever collects it."""

from collections.abc import Sequence
from typing import TextIO

from hyperinfer.facilities.log.terminal import Terminal
from hyperinfer.facilities.log.writer import RANKS, Line


class Console:
    """Lines from a level on, to a stream; with a `terminal` as that writes them, else as JSON."""

    def __init__(self, stream: TextIO, *, level: str, terminal: Terminal | None) -> None:
        self._stream = stream
        self._rank = RANKS[level]
        self._terminal = terminal

    def put(self, lines: Sequence[Line]) -> None:
        """Write them, and have the stream give them on."""
        terminal = self._terminal
        grave = [line for line in lines if line[0] >= self._rank]
        if not grave:
            return
        texts = [line.decode() if terminal is None else f"{terminal.line(event)}\n" for _, event, line in grave]
        self._stream.write("".join(texts))
        self._stream.flush()

    def close(self) -> None:
        """The stream is somebody else's."""
