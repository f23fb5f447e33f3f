"""`hyperinfer keys`: the API keys of whoever is logged in."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from hyperinfer.cli import limits as limits_
from hyperinfer.cli import options
from hyperinfer.cli.examples import examples
from hyperinfer.cli.gateway import account_at, forget_key, looking_after
from hyperinfer.cli.manner import note, say, show_json
from hyperinfer.cli.people import KEY_SPARE, KEY_TITLES, found_active_key, found_key, key_facts, key_line
from hyperinfer.cli.table import show_facts, show_table
from hyperinfer.cli.times import duration, end, minute
from hyperinfer.facilities.clock import SystemClock

if TYPE_CHECKING:
    from hyperinfer.sdk import AsyncClient, Key, NewKey

SCOPES = ("inference", "usage", "account", "admin")
ONCE = "Keep it now: it is stored nowhere and not shown again."

key_argument = click.argument("key")
scopes = click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    help="What it may do: inference and usage unless said; may be repeated.",
)
models = click.option(
    "--model",
    "models",
    metavar="NAME",
    multiple=True,
    help="A model that it may use, instead of all; a * at the end stands for any ending. May be repeated.",
)


@click.group(
    "keys",
    epilog=examples(
        "KEY=$(hyperinfer keys create ci --expires 30d)",
        "hyperinfer keys create bot --limit requests-per-minute=10 --model 'qwen*'",
        "hyperinfer keys rotate ci --overlap 1h",
        "hyperinfer keys revoke ci",
    ),
)
def command() -> None:
    """List, make, change, rotate and revoke your API keys.

    A key is named by the start of it that `list` shows, by its name or by its id.
    """


@command.command("list", epilog=examples("hyperinfer keys list"))
@options.as_json
@options.gateway
def list_keys(as_json: bool, gateway: str | None) -> None:
    """List your API keys, without their secrets."""
    keys = looking_after(gateway, lambda client: client.keys.list())
    if as_json:
        show_json(keys)
    elif keys:
        now = SystemClock().now()
        show_table(KEY_TITLES, [key_line(key, now) for key in keys], spare=KEY_SPARE)
    else:
        note("You have no API key. `hyperinfer keys create NAME` makes one.")


@command.command("show", epilog=examples("hyperinfer keys show ci"))
@key_argument
@options.as_json
@options.gateway
def show(key: str, as_json: bool, gateway: str | None) -> None:
    """Show what an API key may do.

    Its scopes, models, limits and expiry.
    """

    async def wanted(client: "AsyncClient") -> "Key":
        return found_key(key, await client.keys.list())

    found = looking_after(gateway, wanted)
    show_json(found) if as_json else show_facts(key_facts(found, SystemClock().now()))


@command.command(
    "create",
    short_help="Make an API key and print it.",
    epilog=limits_.help_with(
        "KEY=$(hyperinfer keys create ci --expires 30d)", "hyperinfer keys create bot --limit requests-per-minute=10"
    ),
)
@click.argument("name", default="unnamed")
@click.option("--expires", metavar="TIME", help="When it ends: in 12h or 30d, or at the end of a day, 2027-01-31.")
@scopes
@models
@limits_.option
@click.option("--use", is_flag=True, help="Keep it in your profile too, for ask and chat.")
@options.as_json
@options.gateway
def create(
    name: str,
    expires: str | None,
    scopes: Any,
    models: tuple[str, ...],
    limits: tuple[str, ...],
    use: bool,
    as_json: bool,
    gateway: str | None,
) -> None:
    """Make an API key called NAME and print it; it is shown this once.

    Nothing said, it reaches every model and sees its own usage, within your own limits and without end.
    """
    ends = end(expires, "--expires", now=SystemClock().now()) if expires else None
    own = limits_.read(limits)

    async def make(client: "AsyncClient") -> "NewKey":
        return await client.keys.create(name, expires_at=ends, scopes=scopes or None, models=models or None, limits=own)

    made = looking_after(gateway, make)
    _show_new(made, as_json=as_json)
    if use:
        _use(made.key, gateway)


@command.command(
    "update",
    short_help="Change an API key.",
    epilog=limits_.help_with("hyperinfer keys update ci --limit none --expires never"),
)
@key_argument
@click.option("--name", metavar="NAME", help="Another name.")
@click.option("--expires", metavar="TIME", help="When it ends: in 30d, or at the end of a day; or never.")
@scopes
@models
@limits_.option
@options.gateway
def update(
    key: str,
    name: str | None,
    expires: str | None,
    scopes: Any,
    models: tuple[str, ...],
    limits: tuple[str, ...],
    gateway: str | None,
) -> None:
    """Change a KEY; what is left out stays.

    Scopes and models take the place of those before (--model '*' is all models), limits are laid over them.
    """
    if name is None and not (expires or scopes or models or limits):
        raise click.UsageError("There is nothing to change: give an option.")
    never = expires == "never"
    ends = end(expires, "--expires", now=SystemClock().now()) if expires and not never else None

    async def change(client: "AsyncClient") -> "Key":
        before = found_active_key(key, await client.keys.list())
        return await client.keys.update(
            before.id,
            name=name,
            expires_at="never" if never else ends,
            scopes=scopes or None,
            models=models or None,
            limits=limits_.read(limits, before=before.limits),
        )

    changed = looking_after(gateway, change)
    show_facts(key_facts(changed, SystemClock().now()))


@command.command(
    "rotate",
    short_help="Give an API key a successor and print it.",
    epilog=examples("hyperinfer keys rotate ci --overlap 1h"),
)
@key_argument
@click.option(
    "--overlap", metavar="TIME", default="24h", show_default=True, help="How long the old one works on: 0m, 24h, 30d."
)
@options.as_json
@options.gateway
def rotate(key: str, overlap: str, as_json: bool, gateway: str | None) -> None:
    """Make a new KEY with the settings of an old one, and print it; it is shown this once.

    The old one works on for a while, so that applications can be changed over one by one.
    """
    lasts = duration(overlap, "--overlap")

    async def renew(client: "AsyncClient") -> "tuple[Key, NewKey]":
        old = found_active_key(key, await client.keys.list())
        return old, await client.keys.rotate(old.id, overlap_s=int(lasts.total_seconds()))

    old, new = looking_after(gateway, renew)
    _show_new(new, as_json=as_json)
    if old.is_of(account_at(gateway).api_key):
        _use(new.key, gateway)
    note(f"{old.prefix} {_works_until(old, lasts)}.")


@command.command("revoke", epilog=examples("hyperinfer keys revoke ci"))
@key_argument
@options.gateway
def revoke(key: str, gateway: str | None) -> None:
    """End an API key.

    Every gateway refuses it within seconds.
    """

    async def ending(client: "AsyncClient") -> "Key":
        return await client.keys.revoke(found_active_key(key, await client.keys.list()).id)

    ended = looking_after(gateway, ending)
    say(f"{ended.prefix} ({ended.name}) is revoked.")
    account = account_at(gateway)
    if ended.is_of(account.api_key):
        note(forget_key(account))


def _show_new(key: "NewKey", *, as_json: bool) -> None:
    if as_json:
        show_json(key)
        return
    say(key.key)
    note(ONCE)


def _use(key: str, gateway: str | None) -> None:
    from hyperinfer.sdk import profile

    account = account_at(gateway)
    profile.keep(account, account.with_key(key))
    note("Your profile holds it from now on, for ask and chat.")


def _works_until(old: "Key", lasts: timedelta) -> str:
    ends = SystemClock().now() + lasts
    if not lasts:
        return "works no longer"
    return f"works until {minute(min(ends, old.expires_at) if old.expires_at else ends)}"
