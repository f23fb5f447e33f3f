"""A Redis of one's own: in memory alone, behind a password, to be killed and frozen at will."""

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from hyperinfer.testing.servers.process import HOST, ServerProcess, found, free_port

READY = "Ready to accept connections"


class RedisServer:
    """A running Redis; `url` has its password. What it holds is gone when it stops."""

    def __init__(self, folder: Path, *, port: int) -> None:
        self.port = port
        self.password = secrets.token_hex(16)
        self._folder = folder
        self._process: ServerProcess | None = None

    @staticmethod
    def is_installed() -> bool:
        """Whether this machine has the program."""
        return found("redis-server") is not None

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[Self]:
        """A new, empty server for the length of the block."""
        folder = Path(tempfile.mkdtemp(prefix="hi-redis-"))
        server = cls(folder, port=free_port())
        try:
            server.start()
            yield server
        finally:
            server.kill()
            shutil.rmtree(folder, ignore_errors=True)

    @property
    def url(self) -> str:
        """Where it is, with its password."""
        return f"redis://:{self.password}@{HOST}:{self.port}/0"

    def start(self) -> None:
        """Start it, or start it again, empty, on the same port."""
        program = found("redis-server")
        if program is None:
            raise RuntimeError("Redis is not installed here: there is no redis-server.")
        settings = {
            "bind": HOST,
            "port": self.port,
            "requirepass": self.password,
            "dir": self._folder,
            "save": '""',
            "appendonly": "no",
            "databases": 16,
        }
        told = "".join(f"{name} {value}\n" for name, value in settings.items())
        # Told by standard input, so that the password is in no list of processes.
        self._process = ServerProcess((program, "-"), ready=READY, told=told)

    def stop(self) -> None:
        """End it in order."""
        if self._process:
            self._process.stop()
            self._process = None

    def kill(self) -> None:
        """SIGKILL."""
        if self._process:
            self._process.kill()
            self._process = None

    def freeze(self) -> None:
        """Let it answer nobody, with every connection open, until `thaw`."""
        if self._process:
            self._process.freeze()

    def thaw(self) -> None:
        """Let it go on."""
        if self._process:
            self._process.thaw()
