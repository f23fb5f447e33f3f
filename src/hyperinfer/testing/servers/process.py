"""A server in a process of its own: started until it says that it is ready, and ended with the tests, however they end."""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import psutil

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 10.0
PR_SET_PDEATHSIG = 1
HOST = "127.0.0.1"


def found(name: str, *, folders: Iterable[Path] = ()) -> Path | None:
    """A program on the PATH, or else in one of these folders."""
    path = shutil.which(name)
    places = [Path(path)] if path else [folder / name for folder in folders]
    return next((place for place in places if place.exists()), None)


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


class ServerProcess:
    """A server's process.

    `ready` is what it says once it takes connections, `told` what it reads from standard input, `account` user and group to
    run it as. If the thread that makes it ends, killed or not, it gets the signal `last`: make it in the main thread.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        ready: str,
        told: str = "",
        last: signal.Signals = signal.SIGKILL,
        account: tuple[int, int] | None = None,
    ) -> None:
        uid, gid = account or (None, None)
        self._said: deque[str] = deque(maxlen=20)
        self._is_ready = threading.Event()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            user=uid,
            group=gid,
            extra_groups=[] if account else None,
            env={**os.environ, "LC_ALL": "C"},
            start_new_session=True,  # Ctrl-C is for the tests, which end it when they are done with it
            preexec_fn=_dies_with_us(last),  # noqa: PLW1509 - nothing but one system call happens in there
        )
        reader = threading.Thread(target=self._read, args=(ready,), daemon=True)
        reader.start()
        assert self._process.stdin is not None
        self._process.stdin.write(told)
        self._process.stdin.close()
        if not self._is_ready.wait(START_TIMEOUT_S) or self._process.poll() is not None:
            self.kill()
            reader.join(1)
            raise RuntimeError(f"{Path(command[0]).name} did not start. It said:\n" + "\n".join(self._said))

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Ask it to end, and see to it that it does."""
        if self._process.poll() is not None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL, also to one that is stopped."""
        self._process.kill()
        self._process.wait(STOP_TIMEOUT_S)

    def freeze(self) -> None:
        """SIGSTOP to it and all its children: connections stay, and nothing answers."""
        for process in self._family():
            process.suspend()

    def thaw(self) -> None:
        """SIGCONT."""
        for process in self._family():
            process.resume()

    def _family(self) -> list[psutil.Process]:
        process = psutil.Process(self._process.pid)
        return [process, *process.children(recursive=True)]

    def _read(self, ready: str) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._said.append(line.rstrip())
                if ready in line:
                    self._is_ready.set()
        self._is_ready.set()  # it ended: nobody need wait for it any longer


def _dies_with_us(last: signal.Signals) -> Callable[[], None] | None:
    """What a child does first, so that the kernel ends it with us even when we are killed."""
    if not sys.platform.startswith("linux"):
        return None
    libc, parent = ctypes.CDLL(None), os.getpid()

    def bind() -> None:
        libc.prctl(PR_SET_PDEATHSIG, int(last))
        if os.getppid() != parent:
            os._exit(1)

    return bind
