"""`hyperinfer users`: everybody's accounts and invitations, for administrators."""

from typing import TYPE_CHECKING, Any

import click

from hyperinfer.cli import limits as limits_
from hyperinfer.cli import options, users_here, users_invites
from hyperinfer.cli.examples import examples
from hyperinfer.cli.gateway import looking_after
from hyperinfer.cli.manner import note, say, show_json
from hyperinfer.cli.people import USER_SPARE, USER_TITLES, account_facts, found_user, user_line
from hyperinfer.cli.table import show_facts, show_table
from hyperinfer.cli.times import minute

if TYPE_CHECKING:
    from hyperinfer.sdk import AsyncClient, CreatedUser, NewReset, Tier, User

name_argument = click.argument("name")
role = click.option("--role", type=click.Choice(("user", "admin")), help="What the person may do.")
tier = click.option("--tier", metavar="TIER", help="Which limits hold; `hyperinfer users tiers` lists them.")


@click.group(
    "users",
    epilog=examples(
        "hyperinfer users create ada@example.com --tier premium",
        "hyperinfer users update ada --limit tokens-per-day=100000",
        "hyperinfer users update ada --deactivate",
        "hyperinfer users invite --email ada@example.com --expires 7d",
    ),
)
def command() -> None:
    """Manage the accounts of everybody, in the session of an administrator.

    A person is named by user name, e-mail or id. What all of them use is shown by `hyperinfer usage --all`. Only
    `create-admin` works without a log-in, on auth's own machine.
    """


command.add_command(users_here.create_admin)
command.add_command(users_invites.invite)
command.add_command(users_invites.list_invites)
command.add_command(users_invites.revoke_invite)


@command.command("list", epilog=examples("hyperinfer users list"))
@click.argument("query", required=False, default="")
@click.option(
    "--limit", metavar="N", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many rows."
)
@options.as_json
@options.gateway
def list_users(query: str, limit: int, as_json: bool, gateway: str | None) -> None:
    """List accounts.

    The oldest are first; with a QUERY, those that have it in their name or e-mail.
    """

    async def find(client: "AsyncClient") -> "tuple[list[User], bool]":
        found: list[User] = []
        async for user in client.admin.users.each(query):
            if len(found) == limit:
                return found, True
            found.append(user)
        return found, False

    users, is_more = looking_after(gateway, find)
    if as_json:
        show_json(users)
    elif users:
        show_table(USER_TITLES, [user_line(user) for user in users], spare=USER_SPARE)
    else:
        note("No account matches.")
    if is_more and not as_json:
        note(f"There are more: --limit {min(10 * limit, 10_000)}, or a QUERY.")


@command.command("show", epilog=examples("hyperinfer users show ada"))
@name_argument
@options.as_json
@options.gateway
def show(name: str, as_json: bool, gateway: str | None) -> None:
    """Show one account."""
    user = looking_after(gateway, lambda client: found_user(client, name))
    show_json(user) if as_json else show_facts(account_facts(user))


@command.command("create", epilog=examples("hyperinfer users create ada@example.com --tier premium"))
@click.argument("email")
@click.option("--username", metavar="NAME", help="What to be called; otherwise it is made from the e-mail.")
@role
@tier
@click.option(
    "--password", "with_password", is_flag=True, help="Set a password now: asked for, or read from the input."
)
@options.as_json
@options.gateway
def create(
    email: str,
    username: str | None,
    role: Any,
    tier: str | None,
    with_password: bool,
    as_json: bool,
    gateway: str | None,
) -> None:
    """Make an account for somebody under this EMAIL.

    It prints a one-time token, with which its holder sets a password.
    """
    from hyperinfer.cli import secrets

    password = secrets.new_password("Password of the account") if with_password else None

    async def make(client: "AsyncClient") -> "CreatedUser":
        return await client.admin.users.create(
            email=email, username=username, password=password, role=role or "user", tier=tier or "default"
        )

    made = looking_after(gateway, make)
    if as_json:
        show_json(made)
    elif made.reset is None:
        say(f"{made.account.username} ({made.account.email}) has an account.")
    else:
        note(f"{made.account.username} ({made.account.email}) has an account.")
        _show_token(made.reset)


@command.command(
    "update",
    short_help="Change an account.",
    epilog=limits_.help_with(
        "hyperinfer users update ada --limit tokens-per-day=100000", "hyperinfer users update ada --deactivate"
    ),
)
@name_argument
@role
@tier
@limits_.option
@click.option("--activate/--deactivate", "is_active", default=None, help="Let the person in, or not any more.")
@options.gateway
def update(
    name: str,
    role: Any,
    tier: str | None,
    limits: tuple[str, ...],
    is_active: bool | None,
    gateway: str | None,
) -> None:
    """Change somebody's role, tier or limits, or whether they may come in; what is left out stays.

    Limits are laid over those that were set before, and these over the tier's. Who is deactivated is refused by every
    gateway within seconds.
    """
    if role is None and tier is None and is_active is None and not limits:
        raise click.UsageError("There is nothing to change: give an option.")

    async def change(client: "AsyncClient") -> "User":
        before = await found_user(client, name)
        return await client.admin.users.update(
            before.id, role=role, tier=tier, is_active=is_active, limits=limits_.read(limits, before=before.limits)
        )

    show_facts(account_facts(looking_after(gateway, change)))


@command.command("delete", epilog=examples("hyperinfer users delete ada"))
@name_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@options.gateway
def delete(name: str, yes: bool, gateway: str | None) -> None:
    """Delete somebody's account.

    With everything that names them. It cannot be undone.
    """
    user = looking_after(gateway, lambda client: found_user(client, name))
    if not yes:
        click.confirm(f"Delete {user.username} ({user.email}) for ever?", abort=True, err=True)
    looking_after(gateway, lambda client: client.admin.users.remove(user.id))
    say(f"The account {user.username} is deleted.")


@command.command("reset-password", epilog=examples("hyperinfer users reset-password ada"))
@name_argument
@options.as_json
@options.gateway
def reset_password(name: str, as_json: bool, gateway: str | None) -> None:
    """Print a token to set a new password with.

    It is good once, and shown this once.
    """

    async def issue(client: "AsyncClient") -> "NewReset":
        return await client.admin.users.reset_password((await found_user(client, name)).id)

    reset = looking_after(gateway, issue)
    show_json(reset) if as_json else _show_token(reset)


@command.command("tiers", epilog=examples("hyperinfer users tiers"))
@options.as_json
@options.gateway
def list_tiers(as_json: bool, gateway: str | None) -> None:
    """List the tiers and their limits."""

    async def find(client: "AsyncClient") -> "tuple[Tier, ...]":
        return await client.admin.tiers()

    tiers = looking_after(gateway, find)
    if as_json:
        show_json(tiers)
    else:
        show_table(("tier", "limits"), [(one.name, limits_.words(one.limits)) for one in tiers])


def _show_token(reset: "NewReset") -> None:
    say(reset.token)
    note(
        f"Good once, until {minute(reset.expires_at)}. Send it as you would a password; its holder runs\n"
        "  hyperinfer reset --gateway URL"
    )
