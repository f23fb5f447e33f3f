"""`hyperinfer reset`: set a new password by a one-time token."""

import asyncio

import click

from hyperinfer.cli import options
from hyperinfer.cli.examples import examples
from hyperinfer.cli.manner import note, say


@click.command("reset", epilog=examples("hyperinfer reset", "hyperinfer reset < token-and-password"))
@options.gateway
def command(gateway: str | None) -> None:
    """Set a new password by the one-time token that an administrator gave you; every session ends.

    Token and password are asked for, or read from standard input, a line each.
    """
    from hyperinfer.cli import secrets
    from hyperinfer.cli.gateway import place_for_password

    address = place_for_password(gateway)
    token, password = secrets.password("Token").strip(), secrets.new_password()
    asyncio.run(_reset(address, token, password))
    say("Your password is set.")
    note(f"Now log in: hyperinfer login --gateway {address}")


async def _reset(address: str, token: str, password: str) -> None:
    from hyperinfer.cli.gateway import opened

    async with opened(address, "") as client:
        await client.account.reset_password(token=token, password=password)
