"""`hyperinfer worker`: one worker in a process of its own."""

import asyncio
from pathlib import Path

import click

from hyperinfer.cli import options
from hyperinfer.cli.examples import examples


@click.command(
    "worker",
    epilog=examples(
        "hyperinfer worker --wtype auth",
        "hyperinfer worker --wtype gateway --set http.port=8080",
        "hyperinfer worker --wtype inference --rack gpu-2",
    ),
)
@click.option("--wtype", required=True, type=click.Choice(options.WTYPES), help="The type of worker.")
@options.rack
@options.settings
@click.pass_context
def command(
    context: click.Context, wtype: str, rack: str | None, env: str | None, file: Path | None, sets: tuple[str, ...]
) -> None:
    """Run one worker of a swarm, until Ctrl-C.

    The worker must be a member of the swarm: `hyperinfer invite` on auth's machine prints a code, with which `hyperinfer
    join` here sees to that. The worker finds the others by itself.
    """
    from hyperinfer.cli import places, processes
    from hyperinfer.kernel import config
    from hyperinfer.kernel.compose import Part, running
    from hyperinfer.kernel.run import settle

    name = places.type_name(wtype)
    loaded = places.load(name, env=env, file=file, sets=sets)
    place = places.paths(loaded, rack)
    processes.log_to(loaded.settings.log, place.logs / place.name)

    async def work(stop: asyncio.Event, started: asyncio.Event) -> None:
        part = Part(places.worker_type(name), loaded, rack)
        async with processes.net_of(loaded.settings.net) as net, running([part], home=config.home(), net=net):
            started.set()
            settle()
            await stop.wait()

    context.exit(processes.run(work))
