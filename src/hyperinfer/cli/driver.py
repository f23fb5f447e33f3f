"""`hyperinfer driver`: the swarm driver's JavaScript packages."""

import asyncio
import subprocess

import click

from hyperinfer.cli import options
from hyperinfer.cli.examples import examples
from hyperinfer.cli.manner import note, say, show_json
from hyperinfer.cli.places import load
from hyperinfer.facilities.net.driver import install

VERSION_TIMEOUT_S = 10.0


@click.group("driver", epilog=examples("hyperinfer driver status", "hyperinfer driver install"))
def command() -> None:
    """Install or look at the swarm driver.

    The driver carries connections between machines: the official Hyperswarm stack, run by the Node that came with
    hyperinfer. It is installed by itself on first use.
    """


@command.command("install", epilog=examples("hyperinfer driver install"))
def install_driver() -> None:
    """Install the driver's packages now.

    An image, or a machine that will be offline, needs it.
    """
    node = load("gateway").settings.net.node
    folder = asyncio.run(install.ensure_installed(node, say=note))
    say(f"The swarm driver is installed in {folder}.")


@command.command("status", epilog=examples("hyperinfer driver status"))
@options.as_json
def status(as_json: bool) -> None:
    """Show whether the driver is installed.

    And which Node runs it. Exit code 1 if it is not.
    """
    node = install.node_path(load("gateway").settings.net.node)
    version = subprocess.run(
        [node, "--version"], capture_output=True, text=True, timeout=VERSION_TIMEOUT_S, check=True
    ).stdout.strip()
    installed = install.is_installed()
    if as_json:
        show_json({"installed": installed, "folder": str(install.folder()), "node": str(node), "version": version})
    else:
        say(f"installed  {'yes' if installed else 'no: it will be on first use, or by `hyperinfer driver install`'}")
        say(f"folder     {install.folder()}")
        say(f"node       {version} ({node})")
    if not installed:
        raise click.exceptions.Exit(1)
