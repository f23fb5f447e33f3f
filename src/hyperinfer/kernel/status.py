"""The status file: what runs here, under which key and at which addresses; replaced in one step, gone at stop."""

import os
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import psutil

from hyperinfer import __version__
from hyperinfer.kernel.files import write_atomic
from hyperinfer.kernel.worker import Context


class Status(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """One running worker. `state` is `running` or `draining`; `addresses` are URLs by name, `bootstrap` the nodes of a
    private DHT."""

    wtype: str
    name: str
    pid: int
    state: str
    version: str
    public_key: str
    started_at: datetime
    addresses: dict[str, str] = {}
    bootstrap: tuple[str, ...] = ()


class StatusFile:
    """The status file of one running worker; there as long as the block lasts."""

    def __init__(self, path: Path, status: Status) -> None:
        self._path = path
        self._status = status

    @classmethod
    def of(cls, context: Context[Any], addresses: dict[str, str]) -> "StatusFile":
        """The file of a worker that now runs."""
        return cls(
            context.paths.status,
            Status(
                wtype=context.wtype,
                name=context.paths.name,
                pid=os.getpid(),
                state="running",
                version=__version__,
                public_key=context.identity.public_key.hex(),
                started_at=context.clock.now(),
                addresses=addresses,
                bootstrap=context.settings.net.bootstrap or (),
            ),
        )

    def say(self, state: str) -> None:
        """Write the file with another state."""
        self._status = msgspec.structs.replace(self._status, state=state)
        write_atomic(self._path, msgspec.json.format(msgspec.json.encode(self._status), indent=2) + b"\n")

    def __enter__(self) -> Self:
        self.say(self._status.state)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._path.unlink(missing_ok=True)


def read_all(folder: Path) -> list[Status]:
    """The workers whose files are there and whose processes live; files of the dead are passed over."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            status = msgspec.json.decode(path.read_bytes(), type=Status)
        except (OSError, msgspec.DecodeError):
            continue
        if psutil.pid_exists(status.pid):
            found.append(status)
    return found
