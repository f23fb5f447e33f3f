"""`hyperinfer bridge`: a gateway's API on this machine, wherever the gateway is."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hyperinfer.cli import options
from hyperinfer.cli.examples import examples
from hyperinfer.cli.manner import note, say

if TYPE_CHECKING:
    from hyperinfer.kernel.compose import Running
    from hyperinfer.kernel.config import Loaded
    from hyperinfer.workers.client.reach import Gone, Reached

FIRST_WORD_S = 5.0
"""How long is waited to hear how far the gateway is, once there is a link to it."""
SHOWN = 12
YOUR_KEY = "YOUR_KEY"


@click.command(
    "bridge",
    epilog=examples(
        "hyperinfer bridge --gateway hyper://GATEWAYKEY",
        "hyperinfer bridge --gateway hyper://swarm/SWARMKEY/ROOTKEY",
        "PORT=8080 hyperinfer bridge",
        "hyperinfer bridge --set use_local_session=true",
    ),
)
@options.gateway
@options.rack
@options.settings
@click.pass_context
def command(
    context: click.Context,
    gateway: str | None,
    rack: str | None,
    env: str | None,
    file: Path | None,
    sets: tuple[str, ...],
) -> None:
    """Serve a gateway's API on this machine, wherever the gateway is, until Ctrl-C.

    The gateway is found over the swarm by the link that `hyperinfer link` prints on its machine. Without --gateway it is the one
    that you logged in to last over the swarm; on a machine that belongs to a swarm, any gateway of that.

    Everything that the gateway serves is then at http://127.0.0.1:3000, or the next free port, with the same keys.
    """
    from hyperinfer.cli import processes
    from hyperinfer.kernel import config

    loaded = _loaded(gateway, env, file, sets)
    log = loaded.settings.log
    quiet = sys.stderr.isatty() and log.level != "debug"
    processes.log_to(log, config.home() / log.dir, console_level="error" if quiet else None)

    async def work(stop: asyncio.Event, started: asyncio.Event) -> None:
        await _bridge(loaded, rack, stop, started)

    context.exit(processes.run(work))


def _loaded(gateway: str | None, env: str | None, file: Path | None, sets: tuple[str, ...]) -> "Loaded[Any]":
    """The settings, with the gateway that is meant. Raises `BadRequest` for what is no link."""
    from hyperinfer.cli import places
    from hyperinfer.protocol import links

    if gateway is not None:
        sets = (*sets, f"gateway={links.parse(gateway)}")
    return places.load("client", env=env, file=file, sets=sets, base={"gateway": _of_profile()})


def _of_profile() -> str:
    """The link of the gateway that this person uses, if it is reached by one."""
    from hyperinfer.errors import Unauthenticated
    from hyperinfer.protocol.links import SCHEME
    from hyperinfer.sdk import profile

    try:
        address = profile.account_for(None).gateway
    except Unauthenticated:
        return ""
    return address if address.startswith(SCHEME) else ""


async def _bridge(loaded: "Loaded[Any]", rack: str | None, stop: asyncio.Event, started: asyncio.Event) -> None:
    from hyperinfer.cli import processes
    from hyperinfer.cli.lent import lender
    from hyperinfer.cli.readiness import until_ready
    from hyperinfer.kernel import config
    from hyperinfer.kernel.compose import Part, running
    from hyperinfer.kernel.run import settle
    from hyperinfer.workers.client.worker import client

    news = _News(loaded.settings.wait_s)
    part = Part(client(lender=lender, tell=news), loaded, rack)
    async with processes.net_of(loaded.settings.net) as net, running([part], home=config.home(), net=net) as workers:
        started.set()
        settle()
        if await until_ready(workers, stop):
            await news.first()
            _welcome(workers[0], loaded.settings, news)
            await stop.wait()


class _News:
    """Tells when the gateway goes and comes back, once it has been there."""

    def __init__(self, wait_s: float) -> None:
        self._wait_s = wait_s
        self._heard = asyncio.Event()
        self._is_gone = False
        self.reached: Reached | None = None

    async def first(self) -> None:
        """Wait for the first word of the gateway."""
        try:
            async with asyncio.timeout(FIRST_WORD_S):
                await self._heard.wait()
        except TimeoutError:
            return

    def __call__(self, news: "Reached | Gone") -> None:
        """Pass the news on."""
        from hyperinfer.workers.client.reach import Gone

        if isinstance(news, Gone):
            if self.reached is not None:
                note(f"gateway: gone. {news.reason} Requests wait for it, up to {self._wait_s:g} s each.")
                self._is_gone = True
            return
        if self._is_gone:
            other = self.reached is not None and news.key != self.reached.key
            who = f"another is there, {news.key.hex()[:SHOWN]}…" if other else "back"
            note(f"gateway: {who}, {_round_trip(news)}.")
        self.reached, self._is_gone = news, False
        self._heard.set()


def _welcome(bridge: "Running", settings: Any, news: _News) -> None:
    """Print where it serves, what is behind it, and a line to paste."""
    from hyperinfer.cli.welcome import curl

    url = bridge.addresses["http"]
    say(f"API      {url}/v1")
    if news.reached is not None:
        say(f"gateway  {news.reached.key.hex()[:SHOWN]}…, {_how_found(settings.gateway)}")
        say(f"link     {_round_trip(news.reached)}")
    key = "" if settings.use_local_session else _known_key(settings.gateway)
    say()
    for line in curl(url, key, ""):
        say(line)
    if settings.use_local_session:
        note("Requests to models that bring no key are asked in your name, by whoever is on this machine.")
    elif key == YOUR_KEY:
        where = f" --gateway {settings.gateway}" if settings.gateway else ""
        note(
            f"A key takes an account at the gateway; with one, `hyperinfer login{where}` and `hyperinfer keys create`."
        )
    note("Ctrl-C stops it.")


def _known_key(link: str) -> str:
    """The API key that the profile holds for this gateway, or a word in its place."""
    from hyperinfer.sdk import profile

    account = profile.load().at(link) if link else None
    return account.api_key if account and account.api_key else YOUR_KEY


def _how_found(link: str) -> str:
    from hyperinfer.protocol import links

    if not link:
        return "a member of this machine's swarm"
    found = links.parse(link)
    if isinstance(found, links.GatewayLink):
        return "named by its key"
    return f"which has proven to be of the swarm {found.root_key.hex()[:SHOWN]}…"


def _round_trip(reached: "Reached") -> str:
    return f"{reached.round_trip_s * 1000:.1f} ms there and back"
