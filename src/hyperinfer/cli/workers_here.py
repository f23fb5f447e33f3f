"""The workers of this machine: what their status files say, and what they answer on their own ports."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec.structs import asdict

from hyperinfer.contracts.common import Health
from hyperinfer.facilities.http.reading import read_some
from hyperinfer.kernel.status import Status, read_all

ASK_TIMEOUT_S = 2.0
MAX_REPLY_BYTES = 64 * 1024


class Told(msgspec.Struct):
    """A worker's health as HTTP writes it: in snake_case."""

    status: str
    service: str
    version: str
    uptime_s: float
    reasons: tuple[str, ...] = ()
    swarm: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """A worker of this machine: what its file says, and what it says itself, if it answers."""

    file: Status
    health: Health | None

    @property
    def state(self) -> str:
        """How it is, in a word."""
        if self.health is None:
            return "silent" if "observe" in self.file.addresses else self.file.state
        return self.health.status

    def row(self) -> dict[str, object]:
        """The same for programs."""
        return {
            "name": self.file.name,
            "wtype": self.file.wtype,
            "state": self.state,
            "pid": self.file.pid,
            "version": self.file.version,
            "public_key": self.file.public_key,
            "started_at": self.file.started_at,
            "addresses": self.file.addresses,
            "swarm": self.health.swarm if self.health else "",
            "reasons": self.health.reasons if self.health else (),
        }


async def look(folders: Sequence[Path]) -> list[Seen]:
    """Every worker whose status file is in one of these folders."""
    import aiohttp

    files = [file for folder in folders for file in read_all(folder)]
    timeout = aiohttp.ClientTimeout(total=ASK_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout) as session, asyncio.TaskGroup() as group:

        async def ask(url: str | None) -> Health | None:
            if url is None:
                return None
            try:
                async with session.get(f"{url}/readyz", allow_redirects=False) as reply:
                    told = msgspec.json.decode(await read_some(reply, MAX_REPLY_BYTES), type=Told)
                    return Health(**asdict(told))
            except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError):
                return None

        asked = [group.create_task(ask(file.addresses.get("observe"))) for file in files]
    return [Seen(file, task.result()) for file, task in zip(files, asked, strict=True)]
