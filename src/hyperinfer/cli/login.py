"""`hyperinfer login`: open a session at a gateway, or take an API key of it, and keep that in the local profile."""

import asyncio
import sys
from typing import TYPE_CHECKING

import click

from hyperinfer.cli import options
from hyperinfer.cli.examples import examples
from hyperinfer.cli.manner import note, say
from hyperinfer.errors import BadRequest, Forbidden, HyperinferError, Unauthenticated

if TYPE_CHECKING:
    from hyperinfer.sdk.profile import Account


@click.command(
    "login",
    epilog=examples(
        "hyperinfer login",
        "hyperinfer login --gateway https://ai.example.com ada",
        "hyperinfer login ada < password",
        "hyperinfer login --key --gateway https://ai.example.com < api-key",
    ),
)
@click.argument("name", required=False)
@click.option("--key", "with_key", is_flag=True, help="Keep an API key instead, for a machine without a person.")
@options.gateway
def command(name: str | None, with_key: bool, gateway: str | None) -> None:
    """Log in to a gateway as NAME, a user name or an e-mail.

    The password is asked for, or read from standard input if that is no terminal. The session is kept in your profile
    and renewed as you use it; the other commands then act as this account.

    With --key it is an API key that is asked for or read. It suffices to ask models and to see its own usage; the
    account is looked after in a session.
    """
    from hyperinfer.cli import secrets
    from hyperinfer.cli.gateway import place_for_password

    if with_key and name:
        raise click.UsageError("An API key says whose it is: leave NAME out.")
    if not with_key and not name and not sys.stdin.isatty():
        raise click.UsageError("Give the NAME to log in as; the password is read from standard input.")
    address = place_for_password(gateway)
    if with_key:
        asyncio.run(_keep_key(address, secrets.password("API key").strip()))
    else:
        name = name or secrets.line(f"User name or e-mail at {address}")
        asyncio.run(_login(address, name, secrets.password()))


async def _login(address: str, name: str, password: str) -> None:
    from hyperinfer.cli.gateway import log_in

    account = await log_in(address, name, password)
    say(f"Logged in to {address} as {account.username}.")
    await _forget_dead_key(account)


async def _forget_dead_key(account: "Account") -> None:
    """Forget a kept API key that works no longer: it would be presented for ever."""
    from hyperinfer.cli.gateway import forget_key, opened
    from hyperinfer.facilities.clock import SystemClock

    if not account.api_key:
        return
    try:
        async with opened(account.gateway, account.token) as client:
            keys = await client.keys.list()
    except HyperinferError:
        return
    now = SystemClock().now()
    if not any(key.is_of(account.api_key) and key.state(now) == "active" for key in keys):
        note(f"The API key that was kept here works no longer. {forget_key(account)}")


async def _keep_key(address: str, key: str) -> None:
    from hyperinfer.cli.gateway import opened
    from hyperinfer.protocol import api_keys
    from hyperinfer.sdk import profile

    known = api_keys.parse(key)
    if known is None:
        raise BadRequest("This is no API key, or a part of it is missing: a key begins with hi_ and is shown once.")
    async with opened(address, key) as client:
        try:
            await client.models.list()
        except Forbidden:
            pass  # it is valid, and for other things than models
        except Unauthenticated as error:
            raise Unauthenticated(error.message) from error
    profile.save(profile.Account(gateway=address, api_key=key))
    say(f"The API key {known.prefix} is kept for {address}.")
