"""`hyperinfer up`: every worker that a machine needs, in one process."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hyperinfer.cli import options
from hyperinfer.cli.examples import examples
from hyperinfer.cli.manner import complain, note, say
from hyperinfer.errors import HyperinferError, StartError

if TYPE_CHECKING:
    from hyperinfer.cli.own_key import Own
    from hyperinfer.facilities.net import Net
    from hyperinfer.kernel.compose import Part, Running
    from hyperinfer.workers.auth.config import AuthSettings

ORDER = ("auth", "inference", "gateway", "metrics")
"""Started in this order and stopped in reverse: the gateway answers what it has before the others leave. The last one, which only
looks on, starts when the others can be used, so that nobody waits for it."""

BASE: dict[str, dict[str, Any]] = {"gateway": {"http.first_port": 3000}}
"""What is different here from a worker in a process of its own."""

SMALL = """\
This small model shows that all works; it is often wrong. Better ones, to be fetched by name:
  hyperinfer models recommended"""

WATCH_S = 1.0
LEVELS = ("debug", "info", "warning", "error")


@click.command(
    "up", epilog=examples("hyperinfer up", "PORT=8080 hyperinfer up", "hyperinfer up --set inference.llamacpp.slots=8")
)
@options.env
@options.sets
@click.pass_context
def command(context: click.Context, env: str | None, sets: tuple[str, ...]) -> None:
    """Run everything on this machine, in one process, until Ctrl-C.

    The first start makes a swarm, an administrator with a password that is shown once, and an API key that is kept in
    your profile. Every start prints the address and a curl line that works when pasted. Other machines can join the
    swarm meanwhile, and clients elsewhere can reach it by the link: `hyperinfer bridge --gateway LINK`, or --gateway LINK
    with any command.

    A setting of one worker is given as --set gateway.http.port=8080, one of all as --set net.driver=false.
    """
    from hyperinfer.cli import processes
    from hyperinfer.kernel import config

    parts = _parts(env, sets)
    logs = [part.settings.log for part in parts]
    loudest = min(logs, key=lambda log: LEVELS.index(log.level))
    quiet = sys.stderr.isatty() and loudest.level != "debug"
    processes.log_to(loudest, config.home() / loudest.dir, console_level="warning" if quiet else None)

    async def work(stop: asyncio.Event, started: asyncio.Event) -> None:
        await _up(parts, stop, started)

    context.exit(processes.run(work))


def _parts(env: str | None, sets: Sequence[str]) -> "list[Part]":
    from hyperinfer.cli import places
    from hyperinfer.kernel.compose import Part

    found = []
    for wtype in ORDER:
        own = [item.removeprefix(f"{wtype}.") for item in sets if item.startswith(f"{wtype}.")]
        everyones = [item for item in sets if item.partition(".")[0] not in ORDER]
        loaded = places.load(wtype, env=env, sets=[*everyones, *own], base=BASE.get(wtype))
        found.append(Part(places.worker_type(wtype), loaded))
    return found


async def _up(parts: "Sequence[Part]", stop: asyncio.Event, started: asyncio.Event) -> None:
    from hyperinfer.cli import own_key, places
    from hyperinfer.cli.link import swarm_link
    from hyperinfer.cli.readiness import until_ready
    from hyperinfer.facilities.clock import SystemClock
    from hyperinfer.kernel import config
    from hyperinfer.kernel.compose import net_settings, running
    from hyperinfer.kernel.own_swarm import prepare
    from hyperinfer.kernel.paths import locked
    from hyperinfer.kernel.process_meters import measuring
    from hyperinfer.kernel.run import settle

    home = config.home()
    auth = parts[0].loaded
    place = places.paths(auth)
    with locked(place):  # before anything is made: another that runs here is not to be disturbed
        prepare(parts, home=home, now=SystemClock().now())
        own = await own_key.first_admin(place.data, auth.settings)
    async with (
        _told(own) as told,
        _reached(net_settings(parts)) as (net, trouble),
        measuring(SystemClock()) as process,
        running(parts[:-1], home=home, net=net, process=process) as workers,
    ):
        started.set()
        settle()
        running_auth, inference, gateway = workers
        if await until_ready([inference, running_auth, gateway], stop):
            swarm = f"off: {trouble}" if trouble else _swarm(net)
            link = "" if trouble or not net_settings(parts).driver else swarm_link(place.swarm) or ""
            await _welcome(gateway, own, data=place.data, settings=auth.settings, swarm=swarm, link=link)
            told.set()
            async with running(parts[-1:], home=home, net=net, process=process):
                await _watch(net, stop)


@asynccontextmanager
async def _told(own: "Own") -> "AsyncIterator[asyncio.Event]":
    """See to it that a password that has just been made is seen, even where the start ends before there is a welcome."""
    told = asyncio.Event()
    try:
        yield told
    finally:
        if own.password and not told.is_set():
            note("The administrator has been made; the password is shown this once:")
            say(f"admin    {own.name}")
            say(f"password {own.password}")


async def _welcome(
    gateway: "Running", own: "Own", *, data: Path, settings: "AuthSettings", swarm: str, link: str
) -> None:
    """Print all that a person needs to ask something, with a key that works, which the profile keeps."""
    from hyperinfer.cli import own_key
    from hyperinfer.cli.welcome import Welcome
    from hyperinfer.workers.inference.backends.llamacpp.weights import SMOLLM2

    models = await own_key.models_by_key(gateway.own, own.key)
    if models is None:
        own = await own_key.renewed(own, data, settings)
        models = await own_key.models_by_key(gateway.own, own.key) or ()
    url = gateway.addresses["http"]
    try:
        own_key.keep(own, data, url)
    except HyperinferError as error:
        complain(f"{error.message} The key below is thus not kept: other commands will ask you to log in.")
    ready = [model.id for model in models if model.state == "ready" and "chat" in model.capabilities]
    model = next(iter([*ready, *(model.id for model in models)]), "")
    for line in Welcome(url, own.key, model, swarm, link, admin=own.name, password=own.password).lines():
        say(line)
    if model == SMOLLM2.model:
        note(SMALL)
    note("`hyperinfer top`, in another terminal, shows what it does.")
    note("Ctrl-C stops it.")


@asynccontextmanager
async def _reached(settings: Any) -> "AsyncIterator[tuple[Net, str]]":
    """The net, and why it is this machine alone if the driver cannot be had: what is here can be served even so."""
    from hyperinfer.cli.processes import net_of
    from hyperinfer.facilities.net.memory import MemoryNet

    async with AsyncExitStack() as stack:
        net: Net
        try:
            net, trouble = await stack.enter_async_context(net_of(settings)), ""
        except StartError as error:
            net, trouble = MemoryNet(), error.message
        yield net, trouble


async def _watch(net: "Net", stop: asyncio.Event) -> None:
    """Say when the swarm comes or goes, until told to stop."""
    state = net.status().state
    while not stop.is_set():
        try:
            async with asyncio.timeout(WATCH_S):
                await stop.wait()
        except TimeoutError:
            if net.status().state != state:
                state = net.status().state
                note(f"swarm: {_swarm(net)}")


def _swarm(net: "Net") -> str:
    status = net.status()
    return f"{status.sentence}; keeps trying" if status.state == "offline" else status.state
