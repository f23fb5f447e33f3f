"""`hyperinfer identity`: a worker's public key, before it has ever run."""

from pathlib import Path

import click

from hyperinfer.cli import options
from hyperinfer.cli.examples import examples
from hyperinfer.cli.manner import say
from hyperinfer.cli.places import load, paths, type_name


@click.command(
    "identity", epilog=examples("hyperinfer identity inference", "hyperinfer identity inference --rack gpu-2")
)
@options.wtype
@options.rack
@options.settings
def command(wtype: str, rack: str | None, env: str | None, file: Path | None, sets: tuple[str, ...]) -> None:
    """Print the public key of a worker of type WTYPE (auth, gateway, inference, client), made now if it has none.

    `hyperinfer members add` admits it, on the machine where auth runs.
    """
    from hyperinfer.kernel import identity

    place = paths(load(type_name(wtype), env=env, file=file, sets=sets), rack)
    say(identity.load_or_create(place.identity).public_key.hex())
