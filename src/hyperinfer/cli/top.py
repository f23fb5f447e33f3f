"""`hyperinfer top`: the swarm as it is now, on a screen that goes on; or once, as a table or JSON."""

import asyncio
import sys
from contextlib import aclosing

import click

from hyperinfer.cli import options
from hyperinfer.cli.examples import examples
from hyperinfer.cli.manner import say, show_json


@click.command(
    "top", epilog=examples("hyperinfer top", "hyperinfer top --once", "hyperinfer top --json | jq .workers[].state")
)
@click.option("--once", is_flag=True, help="Print it once, as a plain table.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a line, after each collection.")
@options.gateway
def command(once: bool, as_json: bool, gateway: str | None) -> None:
    """Watch the swarm: workers, models, requests, tokens and alerts.

    It shows what the metrics worker has collected: that of this machine, where one runs and you are not logged in, or that behind a
    gateway, for administrators. q quits, ? shows the other keys. Where the output is
    no terminal it is printed once.
    """
    if as_json:
        asyncio.run(_print(gateway, once=once))
    elif once or not _has_screen():
        asyncio.run(_show(gateway))
    else:
        asyncio.run(_watch(gateway))


def _has_screen() -> bool:
    """Whether keys can be read, and a screen be drawn on."""
    import os

    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")


async def _print(gateway: str | None, *, once: bool) -> None:
    import msgspec

    from hyperinfer.cli.live.sources import source_of

    source = await source_of(gateway)
    if once:
        show_json(await source.now())
        return
    async with aclosing(source.watching()) as healths:
        async for health in healths:
            say(msgspec.json.encode(health).decode())
            sys.stdout.flush()


async def _show(gateway: str | None) -> None:
    from hyperinfer.cli.live.printed import show
    from hyperinfer.cli.live.sources import source_of

    source = await source_of(gateway)
    health = await source.now()
    show(source.place, health)


async def _watch(gateway: str | None) -> None:
    from hyperinfer.cli.live.feed import Feed
    from hyperinfer.cli.live.full_screen import FullScreen
    from hyperinfer.cli.live.sources import source_of
    from hyperinfer.cli.live.watched import Watched

    watched = Watched(gateway or "")
    feed = Feed(await source_of(gateway), watched)
    await feed.first()
    await FullScreen(watched, feed).run()
