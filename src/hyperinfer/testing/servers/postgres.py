"""A PostgreSQL cluster of one's own, with an account that is no superuser and databases made as they are asked for."""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Self

from hyperinfer.testing.servers.process import HOST, ServerProcess, found, free_port

READY = "database system is ready to accept connections"
COMMAND_TIMEOUT_S = 30.0
ROOT = "postgres"
USER = "hyperinfer"
"""Who owns the databases; as in production it may do nothing else."""

SETTINGS = {
    "listen_addresses": HOST,
    "fsync": "off",  # a test's machine loses no power; what a killed server has committed is kept even so
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "60",
    "log_min_messages": "warning",
    "timezone": "Asia/Kolkata",  # far from UTC, so that a time without a zone is found out
}


def _folders() -> list[Path]:
    """Where Debian and its kin put the server's programs, newest version first."""
    places = Path("/usr/lib/postgresql").glob("*/bin")
    return sorted(places, key=lambda place: [int(part) for part in place.parent.name.split(".")], reverse=True)


class PostgresServer:
    """A running cluster, reached by password over loopback alone. Its files are gone with it.

    A change of `settings` holds from the next start.
    """

    def __init__(self, folder: Path, *, port: int) -> None:
        self.port = port
        self.password = secrets.token_hex(16)
        self.settings = dict(SETTINGS)
        self._folder = folder
        self._account = _somebody() if os.name == "posix" and os.geteuid() == 0 else None
        self._numbers = count(1)
        self._process: ServerProcess | None = None

    @staticmethod
    def is_installed() -> bool:
        """Whether this machine has the programs."""
        return _program("initdb") is not None and _program("postgres") is not None

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[Self]:
        """A new cluster for the length of the block."""
        folder = Path(tempfile.mkdtemp(prefix="hi-pg-"))
        server = cls(folder, port=free_port())
        try:
            server._make()
            server.start()
            server._sql(f"CREATE ROLE {USER} LOGIN PASSWORD '{server.password}'")
            yield server
        finally:
            server.kill()
            shutil.rmtree(folder, ignore_errors=True)

    # --- its life -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start it, or start it again on the same port."""
        self._process = ServerProcess(
            (_existing("postgres"), "-D", self._data, "-k", self._folder, "-p", str(self.port), *_set(self.settings)),
            ready=READY,
            last=signal.SIGQUIT,  # takes its own children along
            account=self._account,
        )

    def stop(self) -> None:
        """End it as an operator would who does not wait for clients: they are cut off."""
        if self._process:
            self._process.stop(signal.SIGINT)
            self._process = None

    def kill(self) -> None:
        """End it with no chance to tidy up."""
        if self._process:
            self._process.stop(signal.SIGQUIT)
            self._process = None

    def freeze(self) -> None:
        """Let it answer nobody, with every connection open, until `thaw`."""
        if self._process:
            self._process.freeze()

    def thaw(self) -> None:
        """Let it go on."""
        if self._process:
            self._process.thaw()

    def restart(self) -> None:
        """Cut everybody off and come back."""
        self.stop()
        self.start()

    def ensure(self) -> None:
        """Start it unless it runs."""
        if self._process is None:
            self.start()

    # --- its databases --------------------------------------------------------------------------------------

    @contextmanager
    def database(self) -> Iterator[str]:
        """A new, empty database for the length of the block; gives its URL."""
        name = f"test_{next(self._numbers)}"
        self._sql(f"CREATE DATABASE {name} OWNER {USER} TEMPLATE template0")
        try:
            yield self.url(name)
        finally:
            self.ensure()
            self._sql(f"DROP DATABASE {name} WITH (FORCE)")

    def url(self, database: str, *, password: str | None = None) -> str:
        """The URL of a database, with the right password or another."""
        return f"postgresql://{USER}:{password or self.password}@{HOST}:{self.port}/{database}"

    def sql(self, url: str, statement: str) -> str:
        """What the superuser gets for a statement in the database of a URL, one row a line."""
        return self._sql(statement, database=url.rpartition("/")[2])

    def _sql(self, statement: str, *, database: str = "postgres") -> str:
        command = (_existing("psql"), "-h", HOST, "-p", str(self.port), "-U", ROOT, "-d", database, "-XAqt")
        return self._run(*command, "-v", "ON_ERROR_STOP=1", "-c", statement)

    # --- its files ------------------------------------------------------------------------------------------

    def keep(self, name: str, content: bytes) -> Path:
        """Put a file where the server, and nobody else, can read it."""
        path = self._folder / name
        path.touch(mode=0o600)
        path.write_bytes(content)
        if self._account:
            os.chown(path, *self._account)
        return path

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _make(self) -> None:
        if self._account:
            os.chown(self._folder, *self._account)
        password = self.keep("password", self.password.encode())
        self._run(
            *(_existing("initdb"), "-D", self._data, f"--username={ROOT}", f"--pwfile={password}"),
            # Sorted as by people, not by bytes as SQLite does: what depends on the one or the other is found out.
            *("--encoding=UTF8", "--locale=C", "--locale-provider=icu", "--icu-locale=en-US"),
            *("--auth=scram-sha-256", "--no-sync"),
        )
        password.unlink()

    def _run(self, *command: str | Path) -> str:
        uid, gid = self._account or (None, None)
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
            cwd=self._folder,
            env={**os.environ, "LC_ALL": "C", "PGPASSWORD": self.password},
            user=uid,
            group=gid,
            extra_groups=[] if self._account else None,
        )
        if done.returncode:
            raise RuntimeError(f"{Path(command[0]).name} failed: {done.stderr}")
        return str(done.stdout)


def _program(name: str) -> Path | None:
    return found(name, folders=_folders())


def _existing(name: str) -> Path:
    path = _program(name)
    if path is None:
        raise RuntimeError(f"PostgreSQL is not installed here: there is no {name}.")
    return path


def _set(settings: dict[str, str]) -> list[str]:
    return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]


def _somebody() -> tuple[int, int]:
    """User and group of an account without rights: the server refuses to run as root."""
    import pwd  # not everywhere

    for name in ("postgres", "nobody"):
        try:
            account = pwd.getpwnam(name)
        except KeyError:
            continue
        return account.pw_uid, account.pw_gid
    raise RuntimeError("PostgreSQL does not run as root, and there is neither an account postgres nor nobody.")
