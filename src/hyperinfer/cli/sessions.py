"""`hyperinfer sessions`: where one is logged in."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from hyperinfer.cli import options
from hyperinfer.cli.examples import examples
from hyperinfer.cli.manner import say, show_json
from hyperinfer.errors import Conflict, NotFound

if TYPE_CHECKING:
    from hyperinfer.sdk import AsyncClient, OpenSession

SHORT = 8
"""How much of an id is shown, and is enough to name a session."""
AGENT_CHARS = 18


@click.group("sessions", epilog=examples("hyperinfer sessions list", "hyperinfer sessions end --all"))
def command() -> None:
    """List and end your sessions."""


@command.command("list", epilog=examples("hyperinfer sessions list"))
@options.as_json
@options.gateway
def list_sessions(as_json: bool, gateway: str | None) -> None:
    """List your open sessions.

    The newest are first; the one marked * is this one.
    """
    from hyperinfer.cli.gateway import in_session
    from hyperinfer.cli.table import clipped, show_table
    from hyperinfer.cli.times import minute

    found = in_session(gateway, lambda client: client.sessions.list())
    if as_json:
        show_json(found)
        return
    rows = [
        (
            one.id[:SHORT] + ("*" if one.current else ""),
            minute(one.created_at),
            minute(one.expires_at),
            one.remote,
            clipped(one.agent, AGENT_CHARS),
        )
        for one in found
    ]
    show_table(("id", "opened", "ends", "from", "client"), rows, spare=("client", "from"))


@command.command("end", epilog=examples("hyperinfer sessions end --all"))
@click.argument("session", metavar="[ID]", required=False)
@click.option("--all", "everything", is_flag=True, help="Every session but this one.")
@options.gateway
def end(session: str | None, everything: bool, gateway: str | None) -> None:
    """End a session, or all the others.

    It is named by the start of its ID, and ends at every gateway within seconds. `hyperinfer logout` ends this one.
    """
    from hyperinfer.cli.gateway import in_session

    if everything == bool(session):
        raise click.UsageError("Give the ID of a session, or --all.")

    async def ending(client: "AsyncClient") -> "Sequence[OpenSession]":
        if session is None:
            return await client.sessions.end_others()
        return await client.sessions.end(_found(session, await client.sessions.list()).id)

    left = in_session(gateway, ending)
    say(f"Ended. {len(left)} {'session lasts' if len(left) == 1 else 'sessions last'}.")


def _found(wanted: str, sessions: "Sequence[OpenSession]") -> "OpenSession":
    found = [one for one in sessions if one.id.startswith(wanted.strip().rstrip("*").lower())]
    if not found:
        raise NotFound("You have no such session. `hyperinfer sessions list` shows all.")
    if len(found) > 1:
        raise Conflict("Several of your sessions begin so; give more of the ID.")
    if found[0].current:
        raise Conflict("This is the session that you are in: `hyperinfer logout` ends it.")
    return found[0]
