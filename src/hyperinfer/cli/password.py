"""`hyperinfer password`: change the password."""

import click

from hyperinfer.cli import options
from hyperinfer.cli.examples import examples
from hyperinfer.cli.manner import say


@click.command("password", epilog=examples("hyperinfer password", "hyperinfer password < old-and-new"))
@options.gateway
def command(gateway: str | None) -> None:
    """Change your password; every session but this one ends.

    The current password and the new one are asked for, or read from standard input, a line each. Whoever has forgotten
    the current one asks an administrator for a token, and uses `hyperinfer reset`.
    """
    from hyperinfer.cli import secrets
    from hyperinfer.cli.gateway import account_at, in_session
    from hyperinfer.facilities.clock import SystemClock

    account_at(gateway).session(SystemClock().now())  # before anything is asked
    current, new = secrets.password("Current password"), secrets.new_password()
    in_session(gateway, lambda client: client.account.change_password(current=current, new=new))
    say("Your password is changed, and every other session has ended.")
