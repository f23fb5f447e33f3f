"""`hyperinfer status`: the workers of this machine, as they tell themselves; or what a gateway sees."""

import asyncio
from typing import TYPE_CHECKING

import click

from hyperinfer.cli import guesses, options
from hyperinfer.cli.examples import examples
from hyperinfer.cli.manner import note, printable, say, show_json
from hyperinfer.cli.table import show_facts, show_table

if TYPE_CHECKING:
    from hyperinfer.cli.gateway_seen import GatewaySeen
    from hyperinfer.cli.workers_here import Seen

CURRENT = "current"


@click.command(
    "status", epilog=examples("hyperinfer status", "hyperinfer status --gateway", "hyperinfer status --json")
)
@options.as_json
@click.option(
    "--gateway",
    metavar="[URL]",
    is_flag=False,
    flag_value=CURRENT,
    shell_complete=guesses.gateways,
    help="What a gateway sees of the whole swarm; without URL the one in use. Administrators see every worker.",
)
@options.profile
@click.pass_context
def command(context: click.Context, as_json: bool, gateway: str | None) -> None:
    """Show the workers of this machine, whether they can serve, and how they reach the other machines of their swarm.

    Exit code 0 if there are any and all are ready, otherwise 1; with --gateway, 0 if a model is ready to answer.
    """
    is_well = _here(as_json=as_json) if gateway is None else _there(gateway, as_json=as_json)
    context.exit(0 if is_well else 1)


def _here(*, as_json: bool) -> bool:
    from hyperinfer.cli import status_links
    from hyperinfer.cli.places import SETTINGS, load
    from hyperinfer.cli.workers_here import look
    from hyperinfer.kernel import config

    folders = {config.home() / load(wtype).settings.status_dir for wtype in SETTINGS}
    seen = asyncio.run(look(sorted(folders)))
    links = asyncio.run(status_links.look(seen))
    if as_json:
        show_json([one.row() | links.row(one.file.name) for one in seen])
    elif seen:
        _show(seen)
        status_links.show(links)
        _show_alerts(seen)
    else:
        note(f"No worker runs on {config.home()}. `hyperinfer up` starts all that a machine needs.")
    return bool(seen) and all(worker.state == "ready" for worker in seen)


def _there(gateway: str, *, as_json: bool) -> bool:
    from hyperinfer.cli.gateway import best_known
    from hyperinfer.cli.gateway_seen import look

    seen = best_known(None if gateway == CURRENT else gateway, look)
    show_json(seen) if as_json else _show_gateway(seen)
    return seen.models_ready > 0


def _show(seen: "list[Seen]") -> None:
    rows = [
        (one.file.name, one.state, one.file.pid, one.file.public_key[:12], one.file.addresses.get("http", ""))
        for one in seen
    ]
    show_table(("worker", "state", "pid", "key", "http"), rows, spare=("key", "pid"))
    swarms = sorted({one.health.swarm for one in seen if one.health and one.health.swarm})
    say()
    say(f"swarm: {', '.join(swarms) or 'unknown'}")
    for one in seen:
        for reason in one.health.reasons if one.health else ("It does not answer on its own port.",):
            say(f"{one.file.name}: {printable(reason)}", fg="yellow")


def _show_alerts(seen: "list[Seen]") -> None:
    from hyperinfer.cli import alerts_here

    counts = asyncio.run(alerts_here.firing(seen))
    if counts is not None:
        style = {"fg": "red" if counts.get("critical") else "yellow"} if sum(counts.values()) else {}
        say(f"alerts: {alerts_here.sentence(counts)}", **style)


def _show_gateway(seen: "GatewaySeen") -> None:
    show_facts(
        [
            ("gateway", seen.gateway),
            ("answers in", f"{seen.answers_in_ms:.0f} ms"),
            ("workers", f"{seen.workers_ready} of {seen.workers} ready"),
            ("models", f"{seen.models_ready} of {seen.models} ready"),
            ("slots", f"{seen.busy} of {seen.slots} busy" + (f", {seen.queued} requests wait" if seen.queued else "")),
        ]
    )
    for trouble in seen.troubles:
        say(printable(trouble), fg="yellow")
    if seen.system is not None:
        from hyperinfer.cli.live.printed import show_open_alerts, show_workers

        say()
        show_workers(seen.system.workers)
        show_open_alerts(seen.system)
    if not seen.models:
        note("It serves no model now. `hyperinfer invite` lets a machine with models join.")
