"""A gateway, as this person: which credential goes with what, and a session that is renewed before it ends."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar
from urllib.parse import urlsplit

from hyperinfer.cli.manner import note
from hyperinfer.errors import Forbidden, HyperinferError
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.sdk import AsyncClient, profile
from hyperinfer.sdk.profile import Account
from hyperinfer.sdk.requests import base_url

T = TypeVar("T")

Do = Callable[[AsyncClient], Awaitable[T]]

FIRST = "http://127.0.0.1:3000"
"""Where `hyperinfer up` serves unless told otherwise."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def account_at(gateway: str | None) -> Account:
    """This person's account at a gateway; without a name, the account used last.

    Raises `Unauthenticated` if there is none, `BadRequest` for what is no address.
    """
    return profile.account_for(base_url(gateway) if gateway else None)


async def way_in(gateway: str | None) -> tuple[str, str]:
    """A gateway's address, and the credential under which models are asked there: an API key if there is one."""
    account = account_at(gateway)
    if not account.api_key:
        account = await _renewed(account)
    return account.gateway, account.to_models(_now())


def asking(gateway: str | None, do: Do[T]) -> T:
    """Do something as models are asked: with the API key if there is one, else in the session."""
    return asyncio.run(_done(gateway, Account.to_models, do))


def looking_after(gateway: str | None, do: Do[T]) -> T:
    """Do something with the account: in its session if there is one, else with the API key, which may be enough."""
    return asyncio.run(_done(gateway, Account.to_account, do))


def in_session(gateway: str | None, do: Do[T]) -> T:
    """Do something that takes a session. Raises `Unauthenticated` with the command that opens one."""
    return asyncio.run(_done(gateway, Account.session, do))


def place_for_password(gateway: str | None) -> str:
    """The address that a password will be sent to, which warns where others could read it on the way."""
    current = profile.load().current
    address = base_url(gateway) if gateway else current.gateway if current else FIRST
    where = urlsplit(address)
    if where.scheme == "http" and where.hostname not in LOOPBACK:
        note(f"Beware: {address} is not encrypted; whoever is on the way reads your password.", fg="yellow")
    return address


def forget_key(account: Account) -> str:
    """Forget the API key of an account in the profile; what that means, in a sentence."""
    profile.keep(account, account.with_key(""))
    if account.token:
        return "Your profile holds no API key now: models are asked in your session."
    return f"Your profile holds nothing for {account.gateway} now: `hyperinfer login --gateway {account.gateway}`."


async def _done(gateway: str | None, credential: Callable[[Account, datetime], str], do: Do[T]) -> T:
    account = await _renewed(account_at(gateway))
    async with AsyncClient(account.gateway, api_key=credential(account, _now())) as client:
        try:
            return await do(client)
        except Forbidden as error:
            if account.token:
                raise
            raise Forbidden(
                f"{error.message} Your profile holds an API key alone; in a session you may do all that your account may: "
                f"`hyperinfer login --gateway {account.gateway}`.",
                **error.details,
            ) from error


async def _renewed(account: Account) -> Account:
    """The account with a session that lasts; where that fails, as it is: what is asked next says what is wrong."""
    if not account.is_to_renew(_now()):
        return account
    try:
        async with AsyncClient(account.gateway, api_key=account.token) as client:
            renewed = account.in_session(await client.sessions.refresh(), _now())
        profile.keep(account, renewed)
    except HyperinferError:
        return account
    return renewed


def _now() -> datetime:
    return SystemClock().now()
