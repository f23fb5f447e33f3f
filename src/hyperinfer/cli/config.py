"""`hyperinfer config`: the settings in force and where each came from."""

from pathlib import Path

import click
import msgspec

from hyperinfer.cli import options
from hyperinfer.cli.examples import examples
from hyperinfer.cli.manner import show_json
from hyperinfer.cli.places import SETTINGS, load, type_name
from hyperinfer.cli.table import show_table
from hyperinfer.kernel import config


@click.group("config", epilog=examples("hyperinfer config show gateway", "hyperinfer config path"))
def command() -> None:
    """Show the settings in force, and where files are."""


@command.command("path", epilog=examples("hyperinfer config path"))
@options.as_json
def path(as_json: bool) -> None:
    """Show where files are: configuration, data, logs, your profile.

    Those that are not there are marked; nothing is made.
    """
    from hyperinfer.cli.conversation.history_file import history_file
    from hyperinfer.cli.table import show_facts
    from hyperinfer.sdk import profile

    home = config.home()
    found = {
        "home": home,
        **{f"{name}.json": home / "config" / f"{name}.json" for name in (config.COMMON, *SETTINGS)},
        "data": home / "data",
        "logs": home / "logs",
        "profile": profile.path(),
        "chat history": history_file(),
    }
    if as_json:
        show_json(
            {name.replace(" ", "_"): {"path": str(path), "exists": path.exists()} for name, path in found.items()}
        )
    else:
        show_facts([(name, f"{path}{'' if path.exists() else '  (not there)'}") for name, path in found.items()])


@command.command(
    "show",
    epilog=examples("hyperinfer config show gateway", "hyperinfer config show inference --set net.driver=false"),
)
@options.wtype
@options.settings
@options.as_json
def show(wtype: str, env: str | None, file: Path | None, sets: tuple[str, ...], as_json: bool) -> None:
    """Show what a worker would run with here.

    Every setting of a worker of type WTYPE, and where its value comes from. Defaults are overridden by config/WTYPE.json,
    that by the environment, and that by --set. Secrets are masked.
    """
    rows = config.shown(load(type_name(wtype), env=env, file=file, sets=sets))
    if as_json:
        show_json([{"path": row.path, "value": row.value, "origin": row.origin} for row in rows])
    else:
        show_table(
            ("setting", "value", "from"), [(row.path, _text(row.value), row.origin) for row in rows], spare=("from",)
        )


def _text(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
