"""The command as people run it: in processes of its own, each with its own home, on loopback alone."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import psutil
import pytest

NOWHERE = "127.0.0.1:9"
"""A bootstrap node that does not answer: the public ones are none of a test's business."""
ECHO = {"HYPERINFER_INFERENCE__ECHO__ENABLED": "true", "HYPERINFER_INFERENCE__LLAMACPP__ENABLED": "false"}
START_S = 40.0
STOP_S = 20.0


def environment(home: Path, **more: str) -> dict[str, str]:
    """This environment without what belongs to the person who runs the tests."""
    personal = ("HYPERINFER_", "OTEL_", "XDG_CONFIG", "PORT", "DEBUG", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(personal)}
    own = {"HYPERINFER_HOME": str(home), "XDG_CONFIG_HOME": str(home / "xdg"), "PYTHONUNBUFFERED": "1"}
    others = {"HYPERINFER_COMMON__NET__BOOTSTRAP": NOWHERE, "HYPERINFER_INFERENCE__OLLAMA__ENABLED": "false"}
    return kept | own | others | more


def command(*words: str) -> list[str]:
    """The words of a process that runs the command."""
    return [sys.executable, "-m", "hyperinfer", *words]


class Child:
    """A command that runs until it is told to stop; what it says is read as it comes. `inside` stands before it, where it is to
    run in a network of its own."""

    def __init__(self, *words: str, env: Mapping[str, str], inside: Sequence[str] = ()) -> None:
        self.out: list[str] = []
        self.err: list[str] = []
        self._changed = threading.Condition()
        self.process = subprocess.Popen(
            [*inside, *command(*words)],
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        assert self.process.stderr
        self._readers = [
            threading.Thread(target=self._read, args=(stream, lines), daemon=True)
            for stream, lines in ((self.process.stdout, self.out), (self.process.stderr, self.err))
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: IO[str], lines: list[str]) -> None:
        with stream:
            for line in stream:
                with self._changed:
                    lines.append(line.rstrip("\n"))
                    self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    @property
    def said(self) -> str:
        """Everything so far."""
        return "\n".join([*self.out, *self.err])

    def until(self, holds: Callable[[], bool], timeout_s: float = START_S) -> None:
        """Wait until what it has said makes this hold."""
        with self._changed:
            assert self._changed.wait_for(lambda: holds() or self._silent, timeout_s), f"waited in vain:\n{self.said}"
        assert holds(), f"it ended:\n{self.said}"

    def until_said(self, text: str, timeout_s: float = START_S) -> None:
        """Wait until it has said this."""
        self.until(lambda: text in self.said, timeout_s)

    @property
    def _silent(self) -> bool:
        return not any(reader.is_alive() for reader in self._readers) or self.process.poll() is not None

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def ended(self, timeout_s: float = STOP_S) -> int:
        """Wait for its end; gives its exit code."""
        code = self.process.wait(timeout_s)
        for reader in self._readers:
            reader.join(5)
        return code

    def stop(self) -> int:
        """Ctrl-C, and the exit code."""
        self.interrupt()
        return self.ended()

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.ended()

    # --- what `up` prints -----------------------------------------------------------------------------------

    def until_ready(self) -> None:
        """Wait for the last line of what `up` prints."""
        self.until(lambda: any("-d '" in line for line in self.out))

    def fact(self, name: str) -> str:
        """A value that `up` printed beside its name; empty where there is none."""
        return next((line.removeprefix(name).strip() for line in self.out if line.startswith(f"{name} ")), "")

    @property
    def curl(self) -> str:
        """The line to paste."""
        start = next(at for at, line in enumerate(self.out) if line.startswith("curl "))
        return "\n".join(self.out[start:])


Start = Callable[..., Child]


class Starter:
    """Starts commands and sees to it that none outlives the test."""

    def __init__(self) -> None:
        self._children: list[Child] = []

    def __call__(self, *words: str, env: Mapping[str, str], inside: Sequence[str] = ()) -> Child:
        child = Child(*words, env=env, inside=inside)
        self._children.append(child)
        return child

    def close(self) -> None:
        for child in self._children:
            if child.process.poll() is None:
                child.kill()


@pytest.fixture
def start() -> Iterator[Starter]:
    with ExitStack() as stack:
        starter = Starter()
        stack.callback(starter.close)
        yield starter


def ran(
    *words: str, env: Mapping[str, str], stdin: str | None = None, timeout_s: float = 30.0
) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself."""
    given = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
    return subprocess.run(
        command(*words), env=dict(env), capture_output=True, text=True, timeout=timeout_s, check=False, **given
    )


def left_behind(home: Path) -> list[str]:
    """Processes that still run in a home, after a moment's grace."""
    deadline = time.monotonic() + 5
    while (found := _processes_of(home)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def _processes_of(home: Path) -> list[str]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("HYPERINFER_HOME") == str(home) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
