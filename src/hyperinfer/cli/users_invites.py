"""`hyperinfer users invite`, `invites` and `revoke-invite`: who may register."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from hyperinfer.cli import options
from hyperinfer.cli.examples import examples
from hyperinfer.cli.gateway import looking_after
from hyperinfer.cli.manner import note, say, show_json
from hyperinfer.cli.table import show_table
from hyperinfer.cli.times import duration, minute
from hyperinfer.errors import Conflict, NotFound

if TYPE_CHECKING:
    from hyperinfer.sdk import AsyncClient, Invite

SHORT = 8
"""How much of an id is shown, and is enough to name an invitation."""


@click.command("invite", epilog=examples("hyperinfer users invite --email ada@example.com --expires 7d"))
@click.option("--email", metavar="EMAIL", help="Good for this e-mail alone.")
@click.option("--role", type=click.Choice(("user", "admin")), default="user", show_default=True)
@click.option("--tier", metavar="TIER", default="default", show_default=True, help="Which limits will hold.")
@click.option("--expires", metavar="TIME", default="7d", show_default=True, help="How long it is good: 12h, 7d.")
@options.as_json
@options.gateway
def invite(email: str | None, role: Any, tier: str, expires: str, as_json: bool, gateway: str | None) -> None:
    """Print a code to register with.

    It is good for one person, and shown this once. It admits a person. A machine is admitted by `hyperinfer invite`.
    """
    lasts = duration(expires, "--expires")

    async def make(client: "AsyncClient") -> "Invite":
        valid_s = int(lasts.total_seconds())
        return await client.admin.invites.create(email=email, role=role, tier=tier, valid_s=valid_s)

    made = looking_after(gateway, make)
    if as_json:
        show_json(made)
        return
    say(made.code or "")
    note(
        f"Good for one person, until {minute(made.expires_at)}. They run\n"
        "  hyperinfer register --gateway URL --code CODE EMAIL"
    )


@click.command("invites", epilog=examples("hyperinfer users invites"))
@options.as_json
@options.gateway
def list_invites(as_json: bool, gateway: str | None) -> None:
    """List invitations and their state."""
    found = looking_after(gateway, lambda client: client.admin.invites.list())
    if as_json:
        show_json(found)
    elif found:
        rows = [(one.id[:SHORT], one.email, one.role, one.tier, one.state, minute(one.expires_at)) for one in found]
        show_table(("id", "for", "role", "tier", "state", "expires"), rows, spare=("role", "tier"))
    else:
        note("Nobody has been invited.")


@click.command("revoke-invite", epilog=examples("hyperinfer users revoke-invite 3f2a91bc"))
@click.argument("invite_id", metavar="ID")
@options.gateway
def revoke_invite(invite_id: str, gateway: str | None) -> None:
    """Take back an invitation, by its ID.

    The start of it, as `invites` shows it, suffices.
    """

    async def revoke(client: "AsyncClient") -> "Invite":
        return await client.admin.invites.revoke(_found(invite_id, await client.admin.invites.list()).id)

    gone = looking_after(gateway, revoke)
    say(f"The invitation {gone.id[:SHORT]} admits nobody any more.")


def _found(wanted: str, invites: "Sequence[Invite]") -> "Invite":
    found = [one for one in invites if one.id.startswith(wanted.strip().lower())]
    if not found:
        raise NotFound("There is no such invitation. `hyperinfer users invites` shows all.")
    if len(found) > 1:
        raise Conflict("Several invitations begin so; give more of the ID.")
    return found[0]
