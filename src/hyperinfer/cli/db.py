"""`hyperinfer db`: auth's database, on the machine where auth lives."""

import asyncio
import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hyperinfer.cli import options
from hyperinfer.cli.examples import examples
from hyperinfer.cli.manner import note, say, show_json
from hyperinfer.cli.noted import noted
from hyperinfer.cli.places import load, paths
from hyperinfer.cli.table import show_table
from hyperinfer.cli.times import second
from hyperinfer.facilities.clock import SystemClock

if TYPE_CHECKING:
    from hyperinfer.kernel.paths import Paths
    from hyperinfer.workers.auth.config import AuthSettings

EXIT_PROBLEM = 1


def on_auth(command: Callable[..., None]) -> Callable[..., None]:
    """Options that say where auth is; the command gets its folders and its settings."""

    @options.rack
    @options.settings
    @functools.wraps(command)
    def wrapped(rack: str | None, env: str | None, file: Path | None, sets: tuple[str, ...], **others: Any) -> None:
        loaded = load("auth", env=env, file=file, sets=sets)
        command(paths(loaded, rack), loaded.settings, **others)

    return wrapped


@contextmanager
def progress(label: str) -> Iterator[Callable[[int, int], None]]:
    """How many rows are done, as a bar on a terminal."""
    with click.progressbar(length=1, label=label, file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:

        def show(done: int, of: int) -> None:
            bar.length = of
            bar.update(done - bar.pos)

        yield show


@click.group(
    "db",
    epilog=examples(
        "hyperinfer db backup /backups",
        "hyperinfer db check",
        "DATABASE_URL=postgresql://… hyperinfer db restore backup.tar.gz",
    ),
)
def command() -> None:
    """Upgrade, back up, restore and check auth's database.

    These work on the machine where auth lives. The database is SQLite in auth's data folder, or what DATABASE_URL names.
    """


@command.command(
    "upgrade", short_help="Bring the database to this version's revision.", epilog=examples("hyperinfer db upgrade")
)
@options.as_json
@on_auth
def upgrade(place: "Paths", settings: "AuthSettings", as_json: bool) -> None:
    """Bring the database to this version's revision, ahead of auth's start, which would do the same.

    Auth must not run. It is upgraded wholly or not at all.
    """
    from hyperinfer.workers.auth.backup.upgrading import upgrade as run

    done = asyncio.run(run(place, settings))
    if done.before != done.now:
        noted("database.upgraded", data=place.data, before=done.before or "-", now=done.now)
    if as_json:
        show_json({"before": done.before, "now": done.now})
    elif done.before == done.now:
        say(f"The database is at revision {done.now}, the newest that this version knows.")
    elif done.before is None:
        say(f"The database was made, at revision {done.now}.")
    else:
        say(f"The database was upgraded from revision {done.before} to {done.now}.")


@command.command(
    "backup",
    short_help="Write the database and auth's secrets to a file.",
    epilog=examples("hyperinfer db backup /backups"),
)
@click.argument("target", metavar="TARGET", type=click.Path(path_type=Path))
@options.as_json
@on_auth
def backup(place: "Paths", settings: "AuthSettings", target: Path, as_json: bool) -> None:
    """Write the database and auth's secrets to a new file, or into a folder, while auth runs or not.

    The file is a compressed tar for its owner alone: every row as of one moment, the keys that sign and identify, the
    swarm's keys and its members. Whoever has it is auth: keep it as you keep a key.
    """
    from hyperinfer.workers.auth.backup.making import make_backup

    with progress("Backing up") as shown:
        made = asyncio.run(make_backup(place, settings, target, now=SystemClock().now(), progress=shown))
    noted("database.backed_up", data=place.data, sha256=made.sha256)
    size_bytes = made.file.stat().st_size
    if as_json:
        show_json(
            {
                "file": str(made.file),
                "bytes": size_bytes,
                "sha256": made.sha256,
                "revision": made.manifest.revision,
                "rows": {table.table: table.rows for table in made.manifest.tables},
                "files": [file.name for file in made.manifest.files],
            }
        )
        return
    say(f"file    {made.file}")
    say(f"size    {size_bytes:,} bytes: {made.manifest.rows:,} rows, {len(made.manifest.files)} files")
    say(f"sha256  {made.sha256}")
    note("It holds secrets: keep it where nobody else can read it.")


@command.command("restore", short_help="Bring a backup back.", epilog=examples("hyperinfer db restore backup.tar.gz"))
@click.argument("source", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--force", is_flag=True, help="Replace the accounts and keys that are here.")
@options.as_json
@on_auth
def restore(place: "Paths", settings: "AuthSettings", source: Path, force: bool, as_json: bool) -> None:
    """Bring a backup back, into SQLite or PostgreSQL, whichever it came from: all of it, or nothing.

    Auth must not run. A database with accounts in it is replaced with --force only; a SQLite file is then kept under
    another name, while what PostgreSQL held is gone.
    """
    from hyperinfer.workers.auth.backup.restoring import restore as run

    with progress("Restoring") as shown:
        done = asyncio.run(run(place, settings, source, now=SystemClock().now(), force=force, progress=shown))
    manifest = done.manifest
    if as_json:
        show_json(
            {
                "made_at": manifest.made_at,
                "rows": {table.table: table.rows for table in manifest.tables},
                "set_aside": [str(path) for path in done.set_aside],
                "kept_swarm": done.kept_swarm,
            }
        )
        return
    say(f"Restored {manifest.rows:,} rows as of {second(manifest.made_at)}.")
    for path in done.set_aside:
        note(f"What was here is kept as {path}")
    if done.kept_swarm:
        note("This machine's swarm and its members are as they were.")
    else:
        note("Members are those of that time: look at `hyperinfer members list`.")
    note("Start auth; gateways then read all credentials anew.")


@command.command(
    "check", short_help="Look the database and auth's secrets over.", epilog=examples("hyperinfer db check")
)
@options.as_json
@on_auth
def check(place: "Paths", settings: "AuthSettings", as_json: bool) -> None:
    """Look the database and auth's secrets over, changing nothing; exit code 1 if something is wrong."""
    from hyperinfer.workers.auth.backup.checking import check as run

    found = asyncio.run(run(place, settings))
    if as_json:
        show_json([{"what": one.what, "ok": not one.problem, "problem": one.problem or None} for one in found])
    else:
        show_table(("looked at", "found"), [(one.what, one.problem or "ok") for one in found])
    if any(one.problem for one in found):
        raise click.exceptions.Exit(EXIT_PROBLEM)
