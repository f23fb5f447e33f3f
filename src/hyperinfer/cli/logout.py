"""`hyperinfer logout`: end the session at the gateway, and forget it here."""

import asyncio
from typing import TYPE_CHECKING

import click

from hyperinfer.cli import options
from hyperinfer.cli.examples import examples
from hyperinfer.cli.manner import note, say
from hyperinfer.errors import HyperinferError, Unauthenticated

if TYPE_CHECKING:
    from hyperinfer.sdk.profile import Account


@click.command("logout", epilog=examples("hyperinfer logout", "hyperinfer logout --all"))
@click.option("--all", "everything", is_flag=True, help="Forget the account's API key here too.")
@options.gateway
def command(everything: bool, gateway: str | None) -> None:
    """End your session at the gateway, and forget it here.

    An API key that your profile holds stays, so that models can still be asked; --all forgets it too. It works on
    elsewhere until `hyperinfer keys revoke` ends it.
    """
    from hyperinfer.cli.gateway import account_at
    from hyperinfer.sdk import profile

    account = account_at(gateway)
    if not account.token and not everything:
        raise Unauthenticated(f"You are not logged in at {account.gateway}; --all forgets the API key kept for it.")
    trouble = asyncio.run(_end(account)) if account.token else None
    profile.keep(account, account.emptied() if everything else account.logged_out())
    say(f"Logged out of {account.gateway}.")
    if trouble:
        note(f"The session is forgotten here, but could not be ended there: {trouble}", fg="yellow")
    elif account.api_key and not everything:
        note("Your profile still holds an API key, for ask and chat; `hyperinfer logout --all` forgets it.")


async def _end(account: "Account") -> str | None:
    """End the session; why that failed, if it did."""
    from hyperinfer.cli.gateway import opened

    async with opened(account.gateway, account.token) as client:
        try:
            await client.sessions.logout()
        except Unauthenticated:
            return None  # it had ended already
        except HyperinferError as error:
            return error.message
    return None
