"""`hyperinfer users create-admin`: the first administrator, made on the machine that holds the accounts."""

import asyncio
from pathlib import Path

import click

from hyperinfer.cli import options
from hyperinfer.cli.examples import examples
from hyperinfer.cli.manner import note, say, show_json


@click.command("create-admin", epilog=examples("hyperinfer users create-admin"))
@options.rack
@options.settings
@options.as_json
def create_admin(rack: str | None, env: str | None, file: Path | None, sets: tuple[str, ...], as_json: bool) -> None:
    """Make the administrator on auth's own machine.

    If there is one already, it is given a new password. It works on auth's data folder, whether auth runs or not: whoever may write there may do this. Password and API key
    are shown this once.
    """
    from hyperinfer.cli.places import load, paths
    from hyperinfer.workers.auth import admin

    loaded = load("auth", env=env, file=file, sets=sets)
    made = asyncio.run(admin.create_admin(paths(loaded, rack).data, loaded.settings))
    if as_json:
        show_json({"username": made.account.username, "password": made.password, "api_key": made.key})
        return
    say(f"user      {made.account.username}")
    say(f"password  {made.password}")
    if made.key:
        say(f"API key   {made.key}")
        note("Keep them now: they are not shown again.")
    else:
        note("This is the new password; the old one is no longer valid. Keep it now: it is not shown again.")
