"""`hyperinfer join`: this machine becomes part of a swarm, by the code that auth's machine printed."""

import asyncio
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from hyperinfer.cli import options
from hyperinfer.cli.examples import examples
from hyperinfer.cli.manner import note, say, show_json
from hyperinfer.cli.places import ALIASES, load, paths
from hyperinfer.contracts.membership import MAX_NAME
from hyperinfer.errors import BadRequest, ConfigError

if TYPE_CHECKING:
    from hyperinfer.contracts.membership import Published
    from hyperinfer.facilities.net import Identity
    from hyperinfer.facilities.net.settings import NetSettings
    from hyperinfer.kernel.config import Loaded
    from hyperinfer.protocol.join_code import JoinCode

SHORT = 12
BOOTSTRAP = "net.bootstrap"


@click.command(
    "join",
    epilog=examples("hyperinfer join CODE", "hyperinfer join CODE --name gpu-box --run", "hyperinfer join - < code"),
)
@click.argument("code")
@click.option("--role", help="What the worker is to be; the code must say the same.")
@click.option("--name", default="", help="What to call it; otherwise this machine's name.")
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(1, 3600),
    default=90,
    show_default=True,
    metavar="SECONDS",
    help="How long to try to reach auth.",
)
@click.option("--run", is_flag=True, help="Run the worker at once.")
@options.rack
@options.settings
@options.as_json
@click.pass_context
def command(
    context: click.Context,
    code: str,
    role: str | None,
    name: str,
    wait_s: float,
    run: bool,
    rack: str | None,
    env: str | None,
    file: Path | None,
    sets: tuple[str, ...],
    as_json: bool,
) -> None:
    """Join a swarm by the CODE that `hyperinfer invite` printed on auth's machine.

    The worker's key pair is made here and stays here. CODE may be - to read it from standard input, so that it is in no
    list of processes. A machine that is in the swarm already can join again, with a further worker.
    """
    from hyperinfer.cli import processes
    from hyperinfer.facilities.clock import SystemClock
    from hyperinfer.kernel import identity, members
    from hyperinfer.kernel.membership import joining
    from hyperinfer.protocol import join_code

    wanted = join_code.decode(sys.stdin.read(join_code.MAX_LENGTH) if code == "-" else code)
    if role is not None and ALIASES.get(role, role) != wanted.role:
        raise BadRequest(f"This code is for the role {wanted.role}, not {role}.", param="role")
    loaded = load(wanted.role, env=env, file=file, sets=sets)
    place = paths(loaded, rack)
    joining.check(place.swarm, wanted, clock=SystemClock())
    processes.log_to(loaded.settings.log, place.logs / place.name, console_level="warning")
    called = members.parse_name(name or platform.node().partition(".")[0][:MAX_NAME])
    worker = identity.load_or_create(place.identity)
    net = loaded.settings.net
    if wanted.bootstrap and net.bootstrap is None:
        net = msgspec.structs.replace(net, bootstrap=wanted.bootstrap)
    published = asyncio.run(_join(wanted, worker, net, called, wait_s))
    joining.keep(place.swarm, wanted, published)
    _keep_bootstrap(wanted, loaded)
    _tell(wanted, worker, place.swarm, rack, as_json=as_json)
    if run:
        from hyperinfer.cli import worker as running

        context.invoke(running.command, wtype=wanted.role, rack=rack, env=env, file=file, sets=sets)


async def _join(code: "JoinCode", worker: "Identity", settings: "NetSettings", name: str, wait_s: float) -> "Published":
    from hyperinfer.cli.processes import net_of
    from hyperinfer.facilities.clock import SystemClock
    from hyperinfer.facilities.net.peers import Peers
    from hyperinfer.kernel.identity import from_seed
    from hyperinfer.kernel.membership.joining import Joining

    clock = SystemClock()
    note(f"Joining as {name} …")
    async with (
        net_of(settings) as net,
        Peers(await net.open(from_seed(code.seed)), clock=clock, settings=settings) as invited,
        Peers(await net.open(worker), clock=clock, settings=settings) as own,
    ):
        joining = Joining(code, worker, invited=invited, own=own, clock=clock)
        return await joining.join(name=name, say=_once(), wait_s=wait_s)


def _once() -> Any:
    said: set[str] = set()

    def once(sentence: str) -> None:
        if sentence not in said:
            said.add(sentence)
            note(sentence)

    return once


def _keep_bootstrap(code: "JoinCode", loaded: "Loaded[Any]") -> None:
    """Write the swarm's own bootstrap nodes to the configuration of this machine, where nothing is said of them yet."""
    from hyperinfer.kernel import config
    from hyperinfer.kernel.files import write_atomic

    if not code.bootstrap or loaded.settings.net.bootstrap is not None:
        return
    path = config.home() / "config" / f"{config.COMMON}.json"
    try:
        content = msgspec.json.decode(path.read_bytes(), type=dict[str, Any]) if path.exists() else {}
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(f"Cannot read the configuration file {path}: {error}") from error
    content["net"] = {**content.get("net", {}), "bootstrap": list(code.bootstrap)}
    write_atomic(path, msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
    note(f"{BOOTSTRAP} of this swarm is now in {path}.")


def _tell(code: "JoinCode", worker: "Identity", folder: Path, rack: str | None, *, as_json: bool) -> None:
    from hyperinfer.kernel.membership import file

    member = next(one for one in file.read(folder).members if one.key == worker.public_key)
    if as_json:
        show_json(
            {
                "root_key": code.root_key.hex(),
                "public_key": member.public_key,
                "name": member.name,
                "roles": member.roles,
                "folder": str(folder),
            }
        )
        return
    say(f"{member.name} ({member.public_key[:SHORT]}) is a member as {', '.join(member.roles)}.")
    note(f"Start it with: hyperinfer worker --wtype {code.role}{f' --rack {rack}' if rack else ''}")
