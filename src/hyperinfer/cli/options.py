"""Options that several commands share."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from hyperinfer.cli import guesses

F = TypeVar("F", bound=Callable[..., object])

WTYPES = ("auth", "gateway", "inference", "processor", "client", "metrics")
"""Worker types; `processor` is another name of `inference`."""

PROFILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")


def choose_profile(context: click.Context, option: click.Parameter, name: str | None) -> None:
    """Have this command act as the profile of that name."""
    if name is None or context.resilient_parsing:
        return
    check_profile_name(context, name)
    from hyperinfer.sdk import profile

    profile.chosen.set(name)


def check_profile_name(context: click.Context, name: str) -> None:
    """Raise `UsageError` for what cannot be typed and read as a profile's name."""
    if not PROFILE_NAME.fullmatch(name):
        raise click.UsageError("A profile's name is made of letters, digits, dots, _ and -, 32 at most.", context)


wtype = click.argument("wtype", metavar="WTYPE", type=click.Choice(WTYPES))
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
profile = click.option(
    "--profile",
    metavar="NAME",
    expose_value=False,
    is_eager=True,
    callback=choose_profile,
    shell_complete=guesses.profiles,
    help="Your profile of that name, instead of the one in use.",
)
address = click.option(
    "--gateway",
    metavar="URL",
    default=None,
    shell_complete=guesses.gateways,
    help="Another gateway: http://… or, over the swarm, hyper://…",
)
model = click.option(
    "--model", metavar="NAME", shell_complete=guesses.models, help="The model to ask; `hyperinfer models` lists them."
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


def gateway(command: F) -> F:
    """Which gateway, and as whom."""
    return address(profile(command))


def settings(command: F) -> F:
    """Everything that says where a worker's settings come from."""
    return env(config(sets(command)))
