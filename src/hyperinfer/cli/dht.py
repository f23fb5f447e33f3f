"""`hyperinfer dht`: a bootstrap node, so that a private swarm needs no public network."""

import asyncio

import click

from hyperinfer.cli.examples import examples
from hyperinfer.cli.manner import note, say
from hyperinfer.errors import StartError

PORT = 49737
"""What Hyperswarm's own bootstrap nodes listen on."""


@click.command(
    "dht",
    epilog=examples(
        "hyperinfer dht",
        "hyperinfer dht --host 192.168.1.10",
        "hyperinfer dht --host 192.168.1.11 --join 192.168.1.10:49737",
    ),
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address that the workers reach.")
@click.option(
    "--port", metavar="N", default=PORT, show_default=True, type=click.IntRange(0, 65535), help="UDP port; 0 takes any."
)
@click.option("--join", metavar="HOST:PORT", default="", help="Be one more node of the DHT that began there.")
@click.pass_context
def command(context: click.Context, host: str, port: int, join: str) -> None:
    """Run a bootstrap node for a private swarm, until Ctrl-C.

    It prints the setting that every worker is to be given. It knows where workers are, but neither who may join nor
    what they say.

    Where workers are behind routers, run four nodes at addresses of their own, all but the first with --join: from
    several of them a worker learns what its router does, and how to be reached through it.
    """
    from hyperinfer.cli import processes
    from hyperinfer.facilities.log import log_as_library
    from hyperinfer.facilities.net.dht import dht

    log_as_library()

    async def work(stop: asyncio.Event, started: asyncio.Event) -> None:
        ended = asyncio.Event()
        async with dht(host=host, port=port, join=join, say=note, on_end=ended.set) as address:
            started.set()
            bootstrap = join or address.bootstrap
            say(f"net.bootstrap={bootstrap}")
            note(f"Start every worker with `--set net.bootstrap={bootstrap}`, or set it in config/common.json.")
            waits = [asyncio.ensure_future(event.wait()) for event in (stop, ended)]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
            if not stop.is_set():
                raise StartError("The bootstrap node ended by itself; start it again.")

    context.exit(processes.run(work))
