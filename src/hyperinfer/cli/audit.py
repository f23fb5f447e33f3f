"""`hyperinfer audit`: what was done to accounts, keys and members, and whether the log of it is whole."""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hyperinfer.cli import audit_rows, options
from hyperinfer.cli.examples import examples
from hyperinfer.cli.manner import note, say, show_json
from hyperinfer.cli.places import load, paths
from hyperinfer.cli.table import show_table
from hyperinfer.errors import NotFound
from hyperinfer.facilities.clock import SystemClock

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from hyperinfer.contracts.audit import AuditHead, AuditRow
    from hyperinfer.kernel.paths import Paths
    from hyperinfer.workers.auth.audit.here import Report
    from hyperinfer.workers.auth.audit.log import AuditLog
    from hyperinfer.workers.auth.audit.marks import Mark
    from hyperinfer.workers.auth.config import AuthSettings

EXIT_TAMPERED = 1
MAX_ROWS = 200
"""What a page of the log holds at most."""


@dataclass(frozen=True, slots=True)
class Place:
    """Auth's folders and settings on this machine."""

    paths: "Paths"
    settings: "AuthSettings"

    def opened(self) -> "AbstractAsyncContextManager[AsyncEngine]":
        """The database of the log."""
        from hyperinfer.workers.auth.audit.here import audit_here

        return audit_here(self.paths.data, self.settings)

    @asynccontextmanager
    async def log(self) -> "AsyncIterator[AuditLog]":
        """The log, to read."""
        from hyperinfer.facilities.store import Database
        from hyperinfer.workers.auth.audit.log import AuditLog

        async with self.opened() as engine:
            yield AuditLog(Database(engine))


def on_place(command: Callable[..., None]) -> Callable[..., None]:
    """Options that say where auth's data folder is; the command gets the place."""

    @options.rack
    @options.settings
    @functools.wraps(command)
    def wrapped(rack: str | None, env: str | None, file: Path | None, sets: tuple[str, ...], **others: Any) -> None:
        loaded = load("auth", env=env, file=file, sets=sets)
        command(Place(paths(loaded, rack), loaded.settings), **others)

    return wrapped


@click.group(
    "audit",
    epilog=examples(
        "hyperinfer audit list --since 2026-11-01 --action 'key.*'",
        "hyperinfer audit export --format csv --out audit.csv",
        "hyperinfer audit verify --head gpu-box/members.json",
    ),
)
def command() -> None:
    """Read the audit log, and find out whether somebody has changed it.

    It works on auth's data folder, whether auth runs or not.
    """


@command.command("list", epilog=examples("hyperinfer audit list --since 2026-11-01 --action 'key.*'"))
@audit_rows.filters
@click.option("--limit", type=click.IntRange(1, MAX_ROWS), default=50, show_default=True, help="How many rows.")
@options.as_json
@on_place
def list_rows(place: Place, limit: int, as_json: bool, **wanted: Any) -> None:
    """List the newest rows that match."""

    async def found() -> "tuple[AuditRow, ...]":
        async with place.log() as log:
            return (await log.page(await audit_rows.query_of(log, limit=limit, **wanted))).rows

    rows = asyncio.run(found())
    if as_json:
        show_json([audit_rows.plain(row) for row in rows])
    elif rows:
        show_table(audit_rows.TITLES, [audit_rows.line(row) for row in rows], spare=audit_rows.SPARE)
    else:
        note("No row matches.")


@command.command(
    "export",
    short_help="Write every row that matches, newest first.",
    epilog=examples("hyperinfer audit export --format csv --out audit.csv"),
)
@audit_rows.filters
@click.option("--format", "kind", type=click.Choice(("jsonl", "csv")), default="jsonl", show_default=True)
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path), help="A new file, instead of the output.")
@on_place
def export(place: Place, kind: str, out: Path | None, **wanted: Any) -> None:
    """Write every row that matches, newest first: a JSON object a line, or CSV that is safe in a spreadsheet."""
    from hyperinfer.cli.output import target

    async def write() -> int:
        count = 0
        async with place.log() as log:
            query = await audit_rows.query_of(log, limit=MAX_ROWS, **wanted)
            with target(out) as file:
                if kind == "csv":
                    file.write(audit_rows.csv_titles())
                async for row in log.rows(query):
                    file.write(audit_rows.csv_row(row) if kind == "csv" else audit_rows.json_line(row))
                    count += 1
        return count

    count = asyncio.run(write())
    note(f"{count:,} {'row' if count == 1 else 'rows'} written.")


@command.command(
    "verify",
    short_help="Find rows that were altered, removed, moved or cut off.",
    epilog=examples("hyperinfer audit verify", "hyperinfer audit verify --head gpu-box/members.json"),
)
@click.option(
    "--head",
    "kept",
    metavar="HEAD",
    multiple=True,
    help="A head that was kept elsewhere: a copy of a member's members.json, or what `hyperinfer audit head` printed. "
    "May be repeated.",
)
@options.as_json
@on_place
def verify(place: Place, kept: tuple[str, ...], as_json: bool) -> None:
    """Find rows that were altered, removed, moved, or cut off at the end; exit code 1 if there are any.

    Each row is linked to the one before under a key outside the database, and the newest link is published every
    minute. A head from another machine finds even what was done by somebody who could write to auth's data folder.
    """
    from hyperinfer.cli import audit_report
    from hyperinfer.workers.auth.audit.given import given_heads
    from hyperinfer.workers.auth.audit.here import verify_here

    async def report() -> "Report":
        now = SystemClock().now()
        given = [head for text in kept for head in given_heads(text, swarm=place.paths.swarm, now=now)]
        async with place.opened() as engine:
            with audit_report.progress() as progress:
                return await verify_here(engine, place.paths.data, place.paths.swarm, given=given, progress=progress)

    found = asyncio.run(report())
    if as_json:
        show_json(audit_report.plain(found))
    else:
        audit_report.tell(found)
    if not found.intact:
        raise click.exceptions.Exit(EXIT_TAMPERED)


@command.command(
    "head", short_help="Print number and link of the newest row.", epilog=examples("hyperinfer audit head --json")
)
@options.as_json
@on_place
def head(place: Place, as_json: bool) -> None:
    """Print number and link of the newest row, to be kept where nobody can change it."""
    from hyperinfer.facilities.store import Database
    from hyperinfer.workers.auth.audit import heads

    async def newest() -> "AuditHead | None":
        async with place.opened() as engine:
            return await heads.newest(Database(engine), SystemClock().now())

    found = asyncio.run(newest())
    if found is None:
        raise NotFound("The audit log is empty.")
    if as_json:
        show_json({"seq": found.seq, "link": found.link, "at": found.at})
    else:
        say(f"{found.seq}:{found.link}")


@command.command("restart", short_help="Begin the log anew.", epilog=examples("hyperinfer audit restart"))
@click.option("--yes", is_flag=True, help="Do not ask.")
@on_place
def restart(place: Place, yes: bool) -> None:
    """Begin the log anew after a lost key, or after tampering that has been looked into.

    The rows of before stay where they are and are verified no longer: export them first. Auth must not run.
    """
    from hyperinfer.kernel.paths import locked
    from hyperinfer.workers.auth.audit import anew

    async def begin() -> "Mark":
        async with place.opened() as engine:
            return await anew.restart(engine, place.paths.data, SystemClock())

    if not yes:
        click.confirm("No row written until now will be verified any more. Begin anew?", abort=True, err=True)
    with locked(place.paths):
        mark = asyncio.run(begin())
    say(f"The log begins anew after row {mark.seq:,}.")
