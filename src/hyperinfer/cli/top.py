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

    For administrators; it shows what the metrics worker has collected. q quits, ? shows the other keys. Where the output is
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

    from hyperinfer.cli.gateway import for_account
    from hyperinfer.cli.live.feed import watching

    if once:
        async with for_account(gateway) as client:
            show_json(await client.admin.system())
        return
    async with aclosing(watching(gateway)) as healths:
        async for health in healths:
            say(msgspec.json.encode(health).decode())
            sys.stdout.flush()


async def _show(gateway: str | None) -> None:
    from hyperinfer.cli.gateway import for_account
    from hyperinfer.cli.live.printed import show

    async with for_account(gateway) as client:
        show(client.base_url, await client.admin.system())


async def _watch(gateway: str | None) -> None:
    from hyperinfer.cli.live.feed import Feed
    from hyperinfer.cli.live.full_screen import FullScreen
    from hyperinfer.cli.live.watched import Watched

    watched = Watched(gateway or "")
    feed = Feed(gateway, watched)
    await feed.first()
    await FullScreen(watched, feed).run()
