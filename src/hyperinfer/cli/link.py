"""`hyperinfer link`: what somebody outside needs in order to reach this swarm's gateways."""

from pathlib import Path

import click

from hyperinfer.cli import options
from hyperinfer.cli.examples import examples
from hyperinfer.cli.manner import note, say, show_json
from hyperinfer.cli.places import known_swarm


@click.command("link", epilog=examples("hyperinfer link"))
@options.as_json
def command(as_json: bool) -> None:
    """Print the links by which clients reach this swarm from anywhere.

    A gateway's own link names that one gateway. The swarm's link finds any gateway of the swarm, which then proves that it
    is one. Neither lets anybody in: that takes an account.
    """
    from hyperinfer.kernel.membership import file
    from hyperinfer.protocol.links import GatewayLink

    folder = known_swarm()
    whole = swarm_link(folder)
    gateways = [
        (one.name, str(GatewayLink(one.key)))
        for one in file.read(folder).members
        if one.revoked is None and "gateway" in one.roles
    ]
    if as_json:
        show_json({"swarm": whole, "gateways": [{"name": name, "link": link} for name, link in gateways]})
        return
    if whole:
        say(whole)
    for _, link in gateways:
        say(link)
    if not gateways:
        note("The swarm has no gateway yet.")


def swarm_link(folder: Path) -> str | None:
    """The link of the swarm that a folder is of; nothing where its root public key is not known."""
    from hyperinfer.kernel import swarm
    from hyperinfer.protocol.links import SwarmLink

    root_key = swarm.root_public_key(folder)
    return str(SwarmLink(swarm.load(folder).key, root_key)) if root_key else None
