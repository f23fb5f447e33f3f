"""`hyperinfer register`: make an account at a gateway, and begin to use it."""

import asyncio
from typing import TYPE_CHECKING

import click

from hyperinfer.cli import options
from hyperinfer.cli.examples import examples
from hyperinfer.cli.manner import note, say, show_json

if TYPE_CHECKING:
    from hyperinfer.sdk import Registered
    from hyperinfer.sdk.profile import Account


@click.command(
    "register",
    epilog=examples(
        "hyperinfer register ada@example.com",
        "hyperinfer register --gateway https://ai.example.com ada@example.com",
        "hyperinfer register --code hc_… --username ada ada@example.com < password",
    ),
)
@click.argument("email")
@click.option("--username", metavar="NAME", help="What to be called; otherwise it is made from the e-mail.")
@click.option("--code", metavar="CODE", help="The code of an invitation, where registering takes one.")
@options.as_json
@options.gateway
def command(email: str, username: str | None, code: str | None, as_json: bool, gateway: str | None) -> None:
    """Make an account at a gateway under this EMAIL, and log in.

    The password is asked for, or read from standard input if that is no terminal. The account's first API key and the
    session are kept in your profile; the other commands then act as this account. With --json the key is shown, this
    once.
    """
    from hyperinfer.cli import secrets
    from hyperinfer.cli.gateway import place_for_password

    address = place_for_password(gateway)
    password = secrets.new_password("Password")
    asyncio.run(_register(address, email=email, password=password, username=username, code=code, as_json=as_json))


async def _register(
    address: str, *, email: str, password: str, username: str | None, code: str | None, as_json: bool
) -> None:
    made, _ = await begin(address, email=email, password=password, username=username, code=code)
    if as_json:
        show_json(made)
        return
    say(f"Registered at {address} as {made.username}, and logged in.")
    note(
        f"Your first API key, {made.api_key.name}, is kept in your profile. For applications: hyperinfer keys create NAME"
    )


async def begin(
    address: str, *, email: str, password: str, username: str | None = None, code: str | None = None
) -> "tuple[Registered, Account]":
    """Make an account, log in, and keep both in the profile, which is in use from now on. Raises what is refused."""
    from hyperinfer.cli.gateway import opened
    from hyperinfer.facilities.clock import SystemClock
    from hyperinfer.sdk import profile

    async with opened(address, "") as client:
        made = await client.account.register(email=email, password=password, username=username, code=code)
        account = profile.Account(gateway=address, username=made.username, api_key=made.api_key.key)
        profile.save(account)  # before anything else may go wrong: the key is told this once
        session = await client.sessions.login(made.username, password)
    account = account.in_session(session, SystemClock().now())
    profile.save(account)
    return made, account
