"""`hyperinfer account`: one's own account."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hyperinfer.cli import options
from hyperinfer.cli.examples import examples
from hyperinfer.cli.manner import note, say, show_json
from hyperinfer.errors import BadRequest, NotFound

if TYPE_CHECKING:
    from hyperinfer.sdk import AsyncClient, User
    from hyperinfer.sdk.profile import Account

KEY_CHARS = len("hi_") + 8
"""How much of a key may be shown."""


@click.group(
    "account",
    invoke_without_command=True,
    epilog=examples(
        "hyperinfer account", "hyperinfer account update --username ada", "hyperinfer account export me.json"
    ),
)
@click.pass_context
def command(context: click.Context) -> None:
    """Show, change, export or delete your account.

    Your profile may hold several accounts: `list` shows them, and `use` says which one the other commands act as.
    """
    if context.invoked_subcommand is None:
        context.invoke(show)


@command.command("show")
@options.as_json
@options.gateway
def show(as_json: bool = False, gateway: str | None = None) -> None:
    """Show your account."""
    from hyperinfer.cli.gateway import account_at, looking_after
    from hyperinfer.cli.people import account_facts
    from hyperinfer.cli.table import show_facts

    user = looking_after(gateway, lambda client: client.account.get())
    if as_json:
        show_json(user)
    else:
        show_facts([("gateway", account_at(gateway).gateway), *account_facts(user)])


@command.command("update")
@click.option("--username", metavar="NAME", help="Another name.")
@click.option("--email", metavar="EMAIL", help="Another e-mail; this takes your password.")
@options.gateway
def update(username: str | None, email: str | None, gateway: str | None) -> None:
    """Change your name or e-mail."""
    from hyperinfer.cli import secrets
    from hyperinfer.cli.gateway import account_at, in_session
    from hyperinfer.facilities.clock import SystemClock
    from hyperinfer.sdk import profile

    if username is None and email is None:
        raise click.UsageError("There is nothing to change: give --username or --email.")
    account_at(gateway).session(SystemClock().now())  # before anything is asked
    password = secrets.password() if email is not None else None

    async def change(client: "AsyncClient") -> "User":
        return await client.account.update(username=username, email=email, password=password)

    user = in_session(gateway, change)
    account = account_at(gateway)
    profile.keep(account, account.renamed(user.username))
    say(f"You are {user.username}, {user.email}.")


@command.command("export")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@options.gateway
def export(file: Path | None, gateway: str | None) -> None:
    """Write down all that is kept of you.

    It is JSON, and goes to a new FILE or to standard output.
    """
    from hyperinfer.cli.gateway import in_session
    from hyperinfer.cli.output import target

    document = in_session(gateway, lambda client: client.account.export())
    with target(file) as out:
        out.write(document.decode() + "\n")
    if file is not None:
        note(f"Written to {file}.")


@command.command("delete")
@options.gateway
def delete(gateway: str | None) -> None:
    """Delete your account for ever.

    Its keys, its sessions and everything that names you go with it. Your user name and your password are asked for, or read from standard input, a line each.
    """
    from hyperinfer.cli import secrets
    from hyperinfer.cli.gateway import account_at, in_session
    from hyperinfer.facilities.clock import SystemClock
    from hyperinfer.sdk import profile

    account = account_at(gateway)
    account.session(SystemClock().now())  # before anything is asked
    note(f"This deletes the account {account.username} at {account.gateway} for ever.", fg="yellow")
    if secrets.line("Its name, to go on").strip() != account.username:
        raise BadRequest("This is not the name of the account; nothing is deleted.")
    password = secrets.password()
    in_session(gateway, lambda client: client.account.delete(password=password))
    profile.keep(account, account.emptied().renamed(""))
    say(f"The account {account.username} at {account.gateway} is deleted.")


@command.command("list")
@options.as_json
def list_accounts(as_json: bool) -> None:
    """List the accounts in your profile.

    The one marked * is in use.
    """
    from hyperinfer.cli.table import show_table
    from hyperinfer.cli.times import minute
    from hyperinfer.sdk import profile

    held = profile.load().accounts
    if as_json:
        show_json([_seen(one, in_use=one is held[0]) for one in held])
    elif held:
        rows = [
            (
                one.username + ("*" if one is held[0] else ""),
                one.gateway,
                one.api_key[:KEY_CHARS],
                minute(one.token_ends),
            )
            for one in held
        ]
        show_table(("name", "gateway", "key", "session ends"), rows)
    else:
        note("Your profile holds no account. Run `hyperinfer up`, or `hyperinfer login --gateway URL`.")


@command.command("use")
@click.argument("name")
@options.gateway
def use(name: str, gateway: str | None) -> None:
    """Act as the account NAME of your profile from now on."""
    from hyperinfer.sdk import profile
    from hyperinfer.sdk.requests import base_url

    held = profile.load()
    current = base_url(gateway) if gateway else held.current.gateway if held.current else ""
    account = held.at(current, name)
    if account is None:
        raise NotFound(f"Your profile holds no account {name!r} at {current}. `hyperinfer account list` shows all.")
    profile.save(account)
    say(f"You are {name} at {account.gateway} from now on.")


def _seen(account: "Account", *, in_use: bool) -> dict[str, object]:
    return {
        "username": account.username,
        "gateway": account.gateway,
        "key_prefix": account.api_key[:KEY_CHARS],
        "session_ends": account.token_ends,
        "in_use": in_use,
    }
