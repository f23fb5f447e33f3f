"""A command on a terminal of its own, recorded: what is on the screen, key by key, and what is left of it at the end."""

import re
import signal
import termios
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import pexpect
import pyte
from tests.e2e.conftest import command

CTRL_C, CTRL_D = "\x03", "\x04"
BRACKETED_PASTE = 2004 << 5
"""The mode as pyte keeps it; what leaves it on has the shell show `^[[200~` at every paste."""
HISTORY = 2000
QUIET_S = 0.15


class Recorded:
    """A process on a terminal of `columns` by `lines`, and what a person sees there."""

    def __init__(self, *words: str, env: Mapping[str, str], columns: int = 80, lines: int = 24) -> None:
        program, *arguments = command(*words)
        self.screen = pyte.HistoryScreen(columns, lines, history=HISTORY, ratio=0.5)
        self.raw = ""
        self._stream = pyte.Stream(self.screen)
        self.process: Any = pexpect.spawn(
            program, arguments, env=dict(env), dimensions=(lines, columns), encoding="utf-8", timeout=1
        )
        self.process.delaybeforesend = None
        self._before = termios.tcgetattr(self.process.child_fd)

    # --- what is there ------------------------------------------------------------------------------------------

    @property
    def lines(self) -> list[str]:
        """Every line so far, those above the screen too, without the blanks at their ends."""
        above = ["".join(row[at].data for at in range(self.screen.columns)) for row in self.screen.history.top]
        found = [line.rstrip() for line in (*above, *self.screen.display)]
        while found and not found[-1]:
            found.pop()
        return found

    @property
    def text(self) -> str:
        """The same as one text."""
        return "\n".join(self.lines)

    def colours(self) -> set[str]:
        """Every colour on the screen."""
        cells = (cell for row in self.screen.buffer.values() for cell in row.values() if cell.data.strip())
        return {cell.fg for cell in cells} - {"default"}

    # --- what is done -------------------------------------------------------------------------------------------

    def type(self, keys: str) -> None:
        """Press these keys."""
        self.process.send(keys)

    def until(self, pattern: str, timeout_s: float = 20.0) -> str:
        """Wait until this stands anywhere; gives all the lines."""
        self._wait(lambda: re.search(pattern, self.text, re.MULTILINE) is not None, timeout_s, f"for {pattern!r}")
        return self.text

    def until_seen(self, holds: Callable[[list[str]], bool], timeout_s: float = 20.0) -> list[str]:
        """Wait until the screen is so; gives its lines."""

        def seen() -> list[str]:
            return [line.rstrip() for line in self.screen.display]

        self._wait(lambda: holds(seen()), timeout_s, "for the screen")
        return seen()

    def ended(self, timeout_s: float = 20.0) -> int:
        """Wait for the end; gives the exit code as a shell has it."""
        self._wait(lambda: not self._read() and not self.process.isalive(), timeout_s, "for the end")
        status = self.process.exitstatus
        return 128 + int(self.process.signalstatus) if status is None else int(status)

    def interrupt(self, after: str, timeout_s: float = 20.0) -> int:
        """Press Ctrl-C once this is seen, and wait for the end; gives the exit code."""
        self.until(after, timeout_s)
        self.type(CTRL_C)
        return self.ended()

    def left_by(self, keys: str, tries: int = 5) -> int:
        """Press these keys until it ends, as a person would: between a prompt and the reading of an answer a signal can get
        lost in the library that reads lines. Gives the exit code."""
        for left in range(tries, 0, -1):
            self.type(keys)
            try:
                return self.ended(3.0 if left > 1 else 20.0)
            except AssertionError:
                if left == 1:
                    raise
        raise AssertionError

    def left_well(self) -> None:
        """Hold the terminal against what it was before: modes, cursor, pasting. And nobody has seen a traceback."""
        assert termios.tcgetattr(self.process.child_fd)[:4] == self._before[:4], "the terminal is left in another mode"
        assert not self.screen.cursor.hidden, "the cursor is left hidden"
        assert BRACKETED_PASTE not in self.screen.mode, "pasting is left in brackets"
        assert "Traceback" not in self.text
        assert self.screen.cursor.attrs.fg == "default", "a colour is left on"

    def dump(self, file: Path) -> None:
        """Write down what is seen, for somebody to look at."""
        file.write_text(self.text + "\n", encoding="utf-8")

    def _wait(self, holds: Any, timeout_s: float, what: str) -> None:
        deadline = time.monotonic() + timeout_s
        while not holds():
            if not self._read() and not self.process.isalive() and not self._read() and not holds():
                raise AssertionError(f"it ended while waiting {what}:\n{self.text}")
            assert time.monotonic() < deadline, f"waited in vain {what}:\n{self.text}"

    def _read(self) -> bool:
        """Take what has come within a moment; says whether anything has."""
        try:
            said: str = self.process.read_nonblocking(65536, timeout=0.05)
        except (pexpect.TIMEOUT, pexpect.EOF):
            return False
        self.raw += said
        self._stream.feed(said)
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.isalive():
            self.process.kill(signal.SIGKILL)
            self.process.wait()
        with suppress(OSError):
            self.process.close(force=True)


def has(*words: str) -> Callable[[list[str]], bool]:
    """Whether a screen shows all of these."""
    return lambda lines: all(any(word in line for line in lines) for word in words)
