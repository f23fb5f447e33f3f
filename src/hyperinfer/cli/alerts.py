"""`hyperinfer alerts`: what is not well in the swarm, what helps, and whom to tell nothing of it for a while."""

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from hyperinfer.cli import options
from hyperinfer.cli.examples import examples
from hyperinfer.cli.gateway import looking_after
from hyperinfer.cli.live.text import clean
from hyperinfer.cli.manner import note, say, show_json
from hyperinfer.cli.table import show_table
from hyperinfer.cli.times import duration, minute
from hyperinfer.errors import BadRequest, NotFound

if TYPE_CHECKING:
    from hyperinfer.sdk import Alert, AlertTried, AsyncClient

TITLES = ("id", "severity", "state", "since", "what")
SPARE = ("severity", "since", "id", "state")
LONGEST = timedelta(days=7)


@click.group(
    "alerts",
    invoke_without_command=True,
    epilog=examples(
        "hyperinfer alerts",
        "hyperinfer alerts --past",
        "hyperinfer alerts silence ID --for 2h",
        "hyperinfer alerts test",
    ),
)
@click.option("--past", is_flag=True, help="Those too that were resolved lately.")
@options.as_json
@options.gateway
@click.pass_context
def command(context: click.Context, past: bool, as_json: bool, gateway: str | None) -> None:
    """List what is not well in the swarm, and what helps.

    Of the metrics worker of this machine, where one runs and you are not logged in, or behind a gateway, for administrators. An alert is pending until it has lasted as long as its rule demands.
    """
    if context.invoked_subcommand is not None:
        return

    alerts = _all(gateway) if past else asyncio.run(_open(gateway))
    if as_json:
        show_json(alerts)
    elif alerts:
        show_table(TITLES, [_row(alert) for alert in alerts], spare=SPARE)
        _show_what_helps(alerts)
    else:
        note("All is well." if not past else "There was no alert lately.")


def _all(gateway: str | None) -> "tuple[Alert, ...]":
    async def find(client: "AsyncClient") -> "tuple[Alert, ...]":
        return await client.admin.alerts(past=True)

    return looking_after(gateway, find)


async def _open(gateway: str | None) -> "tuple[Alert, ...]":
    from hyperinfer.cli.live.sources import source_of

    source = await source_of(gateway)
    return await source.alerts()


@command.command("silence", epilog=examples("hyperinfer alerts silence ID --for 2h"))
@click.argument("alert_id", metavar="ID")
@click.option(
    "--for", "time", metavar="TIME", default="1h", show_default=True, help="How long: 30m, 2h, 7d; 0m ends it."
)
@options.as_json
@options.gateway
def silence(alert_id: str, time: str, as_json: bool, gateway: str | None) -> None:
    """Tell nobody of an alert for a time. It is still shown here.

    ID may be the beginning of one.
    """
    lasts = duration(time, "--for")
    if lasts > LONGEST:
        raise BadRequest("--for takes seven days at most.", param="for")
    minutes = int(lasts.total_seconds()) // 60

    async def do(client: "AsyncClient") -> "Alert":
        found = _found(alert_id, await client.admin.alerts())
        return await client.admin.silence(found.id, minutes=minutes)

    alert = looking_after(gateway, do)
    if as_json:
        show_json(alert)
    elif alert.silenced_until is None:
        say(f"{clean(alert.summary)} It is told of again.")
    else:
        say(f"{clean(alert.summary)} Silenced until {minute(alert.silenced_until)}.")


@command.command("test", epilog=examples("hyperinfer alerts test", "hyperinfer alerts test --json"))
@options.as_json
@options.gateway
@click.pass_context
def test(context: click.Context, as_json: bool, gateway: str | None) -> None:
    """Send a test to everybody who is told of alerts.

    Each is told that it fires and that it is over. Exit code 0 if all have taken it, otherwise 1; 1 too where nobody is told.
    """

    async def do(client: "AsyncClient") -> "tuple[AlertTried, ...]":
        return await client.admin.test_alerts()

    tried = looking_after(gateway, do)
    if as_json:
        show_json(tried)
    elif tried:
        rows = [(one.receiver, clean(one.error) or "told", f"{one.took_s:.1f} s") for one in tried]
        show_table(("receiver", "outcome", "took"), rows, spare=("took",))
    else:
        note("Nobody is told of alerts: the metrics worker has neither alerts.webhooks nor alerts.mail with mail.host.")
    context.exit(0 if tried and not any(one.error for one in tried) else 1)


def _found(alert_id: str, alerts: "tuple[Alert, ...]") -> "Alert":
    """The alert whose id begins so. Raises `NotFound`, or `BadRequest` where several do."""
    found = [alert for alert in alerts if alert.id == alert_id] or [
        alert for alert in alerts if alert.id.startswith(alert_id)
    ]
    if not found:
        raise NotFound("No open alert has this id; `hyperinfer alerts` lists them.")
    if len(found) > 1:
        raise BadRequest(f"{len(found)} open alerts have an id that begins so: give more of it.")
    return found[0]


def _row(alert: "Alert") -> tuple[object, ...]:
    state = "silenced" if alert.silenced_until and alert.state != "resolved" else alert.state
    return (alert.id, alert.severity, state, minute(alert.since), clean(alert.summary))


def _show_what_helps(alerts: "tuple[Alert, ...]") -> None:
    """Once for each rule: what helps one helps the others."""
    helps = {clean(alert.do): None for alert in alerts if alert.state != "resolved" and alert.do}
    if helps:
        note("\n" + "\n".join(helps))
