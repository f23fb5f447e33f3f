"""`hyperinfer status`: the workers of this machine, as their status files and their own ports tell."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import click
import msgspec
from msgspec.structs import asdict

from hyperinfer.cli import options
from hyperinfer.cli.manner import note, printable, say, show_json
from hyperinfer.cli.places import SETTINGS, load
from hyperinfer.cli.table import show_table
from hyperinfer.contracts.common import Health
from hyperinfer.kernel import config
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


@click.command("status")
@options.as_json
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """Show the workers of this machine and whether they can serve.

    Exit code 0 if there are any and all are ready, otherwise 1.
    """
    folders = {config.home() / load(wtype).settings.status_dir for wtype in SETTINGS}
    seen = asyncio.run(_look(sorted(folders)))
    if as_json:
        show_json([_row(worker) for worker in seen])
    elif seen:
        _show(seen)
    else:
        note(f"No worker runs on {config.home()}. `hyperinfer up` starts all that a machine needs.")
    context.exit(0 if seen and all(worker.state == "ready" for worker in seen) else 1)


async def _look(folders: list[Path]) -> list[Seen]:
    import aiohttp

    files = [file for folder in folders for file in read_all(folder)]
    timeout = aiohttp.ClientTimeout(total=ASK_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout) as session, asyncio.TaskGroup() as group:

        async def ask(url: str | None) -> Health | None:
            if url is None:
                return None
            try:
                async with session.get(f"{url}/readyz", allow_redirects=False) as reply:
                    told = msgspec.json.decode(await reply.content.read(MAX_REPLY_BYTES), type=Told)
                    return Health(**asdict(told))
            except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError):
                return None

        asked = [group.create_task(ask(file.addresses.get("observe"))) for file in files]
    return [Seen(file, task.result()) for file, task in zip(files, asked, strict=True)]


def _show(seen: list[Seen]) -> None:
    rows = [
        (one.file.name, one.state, one.file.pid, one.file.public_key[:12], one.file.addresses.get("http", ""))
        for one in seen
    ]
    show_table(("worker", "state", "pid", "key", "http"), rows)
    swarms = sorted({one.health.swarm for one in seen if one.health and one.health.swarm})
    say()
    say(f"swarm: {', '.join(swarms) or 'unknown'}")
    for one in seen:
        for reason in one.health.reasons if one.health else ("It does not answer on its own port.",):
            say(f"{one.file.name}: {printable(reason)}", fg="yellow")


def _row(worker: Seen) -> dict[str, object]:
    file, health = worker.file, worker.health
    return {
        "name": file.name,
        "wtype": file.wtype,
        "state": worker.state,
        "pid": file.pid,
        "version": file.version,
        "public_key": file.public_key,
        "started_at": file.started_at,
        "addresses": file.addresses,
        "swarm": health.swarm if health else "",
        "reasons": health.reasons if health else (),
    }
