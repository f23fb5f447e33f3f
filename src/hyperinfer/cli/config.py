"""`hyperinfer config`: the settings in force and where each came from."""

from pathlib import Path

import click
import msgspec

from hyperinfer.cli import options
from hyperinfer.cli.examples import examples
from hyperinfer.cli.manner import show_json
from hyperinfer.cli.places import load, type_name
from hyperinfer.cli.table import show_table
from hyperinfer.kernel import config


@click.group("config")
def command() -> None:
    """Show the settings in force."""


@command.command(
    "show",
    epilog=examples("hyperinfer config show gateway", "hyperinfer config show inference --set net.driver=false"),
)
@options.wtype
@options.settings
@options.as_json
def show(wtype: str, env: str | None, file: Path | None, sets: tuple[str, ...], as_json: bool) -> None:
    """Show what a worker would run with here.

    Every setting of a worker of type WTYPE, and where its value comes from. Defaults are overridden by config/WTYPE.json, that by the environment, and that by --set. Secrets are masked.
    """
    rows = config.shown(load(type_name(wtype), env=env, file=file, sets=sets))
    if as_json:
        show_json([{"path": row.path, "value": row.value, "origin": row.origin} for row in rows])
    else:
        show_table(("setting", "value", "from"), [(row.path, _text(row.value), row.origin) for row in rows])


def _text(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
