"""`hyperinfer account`: one's own account."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hyperinfer.cli import options
from hyperinfer.cli.examples import examples
from hyperinfer.cli.manner import note, say, show_json
from hyperinfer.errors import BadRequest

if TYPE_CHECKING:
    from hyperinfer.sdk import AsyncClient, User


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

    `hyperinfer whoami` says which account that is; `hyperinfer profile use` changes to another.
    """
    if context.invoked_subcommand is None:
        context.invoke(show)


@command.command("show", epilog=examples("hyperinfer account show", "hyperinfer account show --json"))
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


@command.command("update", epilog=examples("hyperinfer account update --email ada@example.com"))
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


@command.command("export", epilog=examples("hyperinfer account export > account.json"))
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


@command.command("delete", epilog=examples("hyperinfer account delete"))
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
