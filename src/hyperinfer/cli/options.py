"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

F = TypeVar("F", bound=Callable[..., object])

WTYPES = ("auth", "gateway", "inference", "processor", "client")
"""Worker types; `processor` is another name of `inference`."""

wtype = click.argument("wtype", metavar="WTYPE", type=click.Choice(WTYPES))
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
gateway = click.option(
    "--gateway", metavar="URL", help="The gateway to talk to, instead of the one used last.", default=None
)
rack = click.option("--rack", metavar="NAME", help="Tells apart several workers of a type on one machine.")
env = click.option("--env", metavar="NAME", help="The environment whose sections of the configuration apply.")
sets = click.option("--set", "sets", metavar="PATH=VALUE", multiple=True, help="Give a setting; may be repeated.")
config = click.option(
    "--config",
    "file",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A configuration file to read instead of those under config/.",
)


def settings(command: F) -> F:
    """Everything that says where a worker's settings come from."""
    return env(config(sets(command)))
