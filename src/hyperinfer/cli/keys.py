"""`hyperinfer keys`: the API keys of whoever is logged in."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

import click

from hyperinfer.cli import options
from hyperinfer.cli.examples import examples
from hyperinfer.cli.manner import note, say, show_json
from hyperinfer.cli.places import way_in
from hyperinfer.cli.table import show_table
from hyperinfer.errors import Conflict, NotFound

if TYPE_CHECKING:
    from hyperinfer.sdk import AsyncClient, Key

T = TypeVar("T")


@click.group("keys", epilog=examples("KEY=$(hyperinfer keys create ci)", "hyperinfer keys revoke ci"))
def command() -> None:
    """List, make and revoke your API keys."""


@command.command("list", short_help="List your API keys.")
@options.as_json
@options.gateway
def list_keys(as_json: bool, gateway: str | None) -> None:
    """List your API keys, newest first, without their secrets."""
    keys = _with_client(gateway, lambda client: client.keys())
    if as_json:
        show_json(keys)
        return
    rows = [(key.prefix, key.name, _day(key.created_at), _day(key.last_used_at), _state(key)) for key in keys]
    show_table(("key", "name", "created", "last used", "state"), rows)


@command.command("create", short_help="Make an API key and print it.")
@click.argument("name", default="unnamed")
@options.as_json
@options.gateway
def create(name: str, as_json: bool, gateway: str | None) -> None:
    """Make an API key called NAME and print it; it is shown this once."""
    key = _with_client(gateway, lambda client: client.create_key(name))
    if as_json:
        show_json(key)
        return
    say(key.key)
    note("Keep it now: it is stored nowhere and not shown again.")


@command.command("revoke", short_help="End an API key.")
@click.argument("key")
@options.gateway
def revoke(key: str, gateway: str | None) -> None:
    """End an API key, named by the start of it that `list` shows, by its name or by its id."""

    async def end(client: "AsyncClient") -> "Key":
        return await client.revoke_key(_find(key, await client.keys()).id)

    ended = _with_client(gateway, end)
    say(f"{ended.prefix} ({ended.name}) is revoked.")


def _find(wanted: str, keys: "Sequence[Key]") -> "Key":
    active = [key for key in keys if key.is_active]
    # A whole key, pasted, is as good as the start of it.
    found = [key for key in active if wanted in (key.id, key.name, key.prefix) or wanted.startswith(f"{key.prefix}_")]
    if not found:
        raise NotFound("You have no such active key. `hyperinfer keys list` shows all.")
    if len(found) > 1:
        raise Conflict(
            "Several of your keys have this name. Give the start of the key that `hyperinfer keys list` shows."
        )
    return found[0]


def _with_client(gateway: str | None, do: "Callable[[AsyncClient], Awaitable[T]]") -> T:
    async def run() -> T:
        from hyperinfer.sdk import AsyncClient

        address, key = way_in(gateway)
        async with AsyncClient(address, api_key=key) as client:
            return await do(client)

    return asyncio.run(run())


def _day(time: datetime | None) -> str:
    return time.astimezone().strftime("%Y-%m-%d") if time else ""


def _state(key: "Key") -> str:
    return "active" if key.is_active else "revoked"
