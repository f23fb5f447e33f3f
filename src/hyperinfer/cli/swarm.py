"""`hyperinfer swarm`: make a swarm."""

import click

from hyperinfer.cli import options
from hyperinfer.cli.manner import note, say, show_json
from hyperinfer.cli.places import swarm_folder


@click.group("swarm")
def command() -> None:
    """Make a swarm."""


@command.command("init")
@options.as_json
def init(as_json: bool) -> None:
    """Make a swarm on this machine, where its auth worker will run.

    This makes the root key, which names the swarm and stays here, and the swarm key, which hides its topics and goes to
    every member. `hyperinfer up` does it by itself.
    """
    from hyperinfer.kernel import swarm

    folder = swarm_folder()
    root = swarm.create(folder)
    if as_json:
        show_json({"root_key": root.public_key.hex(), "folder": str(folder)})
        return
    say(f"swarm   {root.public_key.hex()}")
    say(f"folder  {folder}")
    note(
        f"Keep {swarm.ROOT_KEY_FILE} here, and a backup of it. Admit each worker by its public key:\n"
        "  hyperinfer members add $(hyperinfer identity auth) --role auth\n"
        f"Other machines need {swarm.SWARM_KEY_FILE} and members.json from this folder."
    )
