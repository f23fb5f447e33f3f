"""A gateway, as this person: which credential goes with what, and a session that is renewed before it ends."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from hyperinfer.cli.manner import note
from hyperinfer.errors import Forbidden, HyperinferError, Unauthenticated

if TYPE_CHECKING:
    from datetime import datetime

    from hyperinfer.sdk import AsyncClient
    from hyperinfer.sdk.profile import Account

T = TypeVar("T")

FIRST = "http://127.0.0.1:3000"
"""Where `hyperinfer up` serves unless told otherwise."""
CONNECT_S = 10.0
SWARM_CONNECT_S = 30.0
"""Time enough to find a gateway behind two routers, and for a second try where the first came to nothing."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def account_at(gateway: str | None) -> "Account":
    """This person's account at a gateway; without a name, the one that is chosen or was used last.

    Raises `Unauthenticated` if there is none, `BadRequest` for what is no address.
    """
    from hyperinfer.sdk import profile
    from hyperinfer.sdk.requests import base_url

    return profile.account_for(base_url(gateway) if gateway else None)


def address_of(gateway: str | None) -> str:
    """A gateway's address, where one need not have an account yet: as `account_at`, and at last `hyperinfer up` here."""
    from hyperinfer.kernel import config
    from hyperinfer.sdk import profile
    from hyperinfer.sdk.requests import base_url

    if gateway := gateway or "":
        return base_url(gateway)
    held = profile.load()
    known = held.named(profile.chosen.get()) if profile.chosen.get() else None
    if known is None and (named := config.gateway()[0]):
        return base_url(named)
    known = known or held.current
    return known.gateway if known else FIRST


@asynccontextmanager
async def opened(address: str, credential: str, *, say: Callable[[str], None] = note) -> "AsyncIterator[AsyncClient]":
    """A client of a gateway, which says so where finding it may take a while."""
    from hyperinfer.sdk import AsyncClient
    from hyperinfer.sdk.requests import is_link

    wait_s = CONNECT_S
    if is_link(address):
        say("Reaching the gateway over the swarm …")
        wait_s = SWARM_CONNECT_S
    async with AsyncClient(address, api_key=credential, connect_timeout_s=wait_s, say=say) as client:
        yield client


@asynccontextmanager
async def for_models(gateway: str | None) -> "AsyncIterator[AsyncClient]":
    """A client under the credential with which models are asked there: an API key if there is one, else the session."""
    account = account_at(gateway)
    if not account.api_key:
        account = await renewed(account)
    async with opened(account.gateway, account.to_models(_now())) as client:
        yield client


def asking(gateway: str | None, do: "Callable[[AsyncClient], Awaitable[T]]") -> T:
    """Do something as models are asked: with the API key if there is one, else in the session."""
    return asyncio.run(_done(gateway, lambda account, now: account.to_models(now), do))


def looking_after(gateway: str | None, do: "Callable[[AsyncClient], Awaitable[T]]") -> T:
    """Do something with the account: in its session if there is one, else with the API key, which may be enough."""
    return asyncio.run(_done(gateway, lambda account, now: account.to_account(now), do))


def best_known(gateway: str | None, do: "Callable[[AsyncClient], Awaitable[T]]") -> T:
    """Do something of which more is told to whoever may do more: in the session if there is one that lasts, else with the
    API key."""

    def credential(account: "Account", now: "datetime") -> str:
        lasts = account.token and (account.token_ends is None or account.token_ends > now)
        return account.token if lasts else account.to_models(now)

    return asyncio.run(_done(gateway, credential, do))


@asynccontextmanager
async def for_account(gateway: str | None, *, say: Callable[[str], None] = note) -> "AsyncIterator[AsyncClient]":
    """A client under the credential with which the account is looked after, as `looking_after` has it."""
    async with _client(gateway, lambda account, now: account.to_account(now), say=say) as client:
        yield client


def in_session(gateway: str | None, do: "Callable[[AsyncClient], Awaitable[T]]") -> T:
    """Do something that takes a session. Raises `Unauthenticated` with the command that opens one."""
    return asyncio.run(_done(gateway, lambda account, now: account.session(now), do))


def place_for_password(gateway: str | None) -> str:
    """The address that a password will be sent to, which warns where others could read it on the way."""
    address = address_of(gateway)
    if is_readable(address):
        note(f"Beware: {address} is not encrypted; whoever is on the way reads your password.", fg="yellow")
    return address


def is_readable(address: str) -> bool:
    """Whether others on the way to a gateway can read what is sent there."""
    from urllib.parse import urlsplit

    where = urlsplit(address)
    return where.scheme == "http" and where.hostname not in LOOPBACK


def forget_key(account: "Account") -> str:
    """Forget the API key of an account in the profile; what that means, in a sentence."""
    from hyperinfer.sdk import profile

    profile.keep(account, account.with_key(""))
    if account.token:
        return "Your profile holds no API key now: models are asked in your session."
    return f"Your profile holds nothing for {account.gateway} now: `hyperinfer login --gateway {account.gateway}`."


async def log_in(address: str, name: str, password: str) -> "Account":
    """Open a session at a gateway, and make it the profile in use. Raises `Unauthenticated` for a wrong password."""
    from hyperinfer.sdk import profile

    async with opened(address, "") as client:
        try:
            session = await client.sessions.login(name, password)
        except Unauthenticated as error:
            raise Unauthenticated(error.message) from error  # without the hint to log in
    known = profile.load().at(address, session.user.username) or profile.Account(gateway=address)
    account = known.in_session(session, _now())
    profile.save(account)
    return account


async def renewed(account: "Account") -> "Account":
    """The account with a session that lasts; where that fails, as it is: what is asked next says what is wrong."""
    from hyperinfer.sdk import profile

    if not account.is_to_renew(_now()):
        return account
    try:
        async with opened(account.gateway, account.token) as client:
            longer = account.in_session(await client.sessions.refresh(), _now())
        profile.keep(account, longer)
    except HyperinferError:
        return account
    return longer


async def _done(
    gateway: str | None, credential: "Callable[[Account, datetime], str]", do: "Callable[[AsyncClient], Awaitable[T]]"
) -> T:
    async with _client(gateway, credential) as client:
        return await do(client)


@asynccontextmanager
async def _client(
    gateway: str | None,
    credential: "Callable[[Account, datetime], str]",
    *,
    say: Callable[[str], None] = note,
) -> "AsyncIterator[AsyncClient]":
    """A client of a gateway; where a profile that holds an API key alone may not do something, that is said."""
    account = await renewed(account_at(gateway))
    async with opened(account.gateway, credential(account, _now()), say=say) as client:
        try:
            yield client
        except Forbidden as error:
            if account.token:
                raise
            raise Forbidden(
                f"{error.message} Your profile holds an API key alone; in a session you may do all that your account may: "
                f"`hyperinfer login --gateway {account.gateway}`.",
                **error.details,
            ) from error


def _now() -> "datetime":
    from hyperinfer.facilities.clock import SystemClock

    return SystemClock().now()
