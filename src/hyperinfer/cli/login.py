"""`hyperinfer login`: open a session at a gateway and keep it in the local profile."""

import asyncio
import sys
from urllib.parse import urlsplit

import click

from hyperinfer.cli import options
from hyperinfer.cli.examples import examples
from hyperinfer.cli.manner import note, say
from hyperinfer.errors import Unauthenticated
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.sdk import profile
from hyperinfer.sdk.requests import base_url

FIRST = "http://127.0.0.1:3000"
"""Where `hyperinfer up` serves unless told otherwise."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@click.command(
    "login",
    epilog=examples(
        "hyperinfer login", "hyperinfer login --gateway https://ai.example.com ada", "hyperinfer login ada < password"
    ),
)
@click.argument("name", required=False)
@options.gateway
def command(name: str | None, gateway: str | None) -> None:
    """Log in to a gateway as NAME, a user name or an e-mail.

    The password is asked for, or read from standard input if that is no terminal. The session is kept in your profile
    until it ends; the other commands then act as this account.
    """
    current = profile.load().current
    address = base_url(gateway) if gateway else current.gateway if current else FIRST
    where = urlsplit(address)
    if where.scheme == "http" and where.hostname not in LOOPBACK:
        note(f"Beware: {address} is not encrypted; whoever is on the way reads your password.", fg="yellow")
    asyncio.run(_login(address, *_credentials(name, address)))


def _credentials(name: str | None, address: str) -> tuple[str, str]:
    if sys.stdin.isatty():
        name = name or click.prompt(f"User name or e-mail at {address}", err=True)
        return name, click.prompt("Password", hide_input=True, err=True)
    if not name:
        raise click.UsageError("Give the NAME to log in as; the password is read from standard input.")
    return name, sys.stdin.readline().rstrip("\r\n")


async def _login(address: str, name: str, password: str) -> None:
    from hyperinfer.sdk import AsyncClient

    async with AsyncClient(address, api_key="") as client:
        try:
            session = await client.login(name, password)
        except Unauthenticated as error:
            raise Unauthenticated(error.message) from error  # without the hint to log in
    profile.save(profile.of_session(address, session, SystemClock().now()))
    say(f"Logged in to {address} as {session.user.username}.")
