"""`hyperinfer profile`: the gateways that this person uses, and as whom."""

from typing import TYPE_CHECKING

import click

from hyperinfer.cli import guesses, options
from hyperinfer.cli.examples import examples
from hyperinfer.cli.manner import note, say, show_json
from hyperinfer.errors import Conflict, NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hyperinfer.sdk.profile import Account

KEY_CHARS = len("hi_") + 8
"""How much of a key may be shown."""
ADDRESS_CHARS = 40

name_argument = click.argument("name", shell_complete=guesses.profiles)


@click.group(
    "profile",
    epilog=examples(
        "hyperinfer login --gateway https://ai.example.com --profile work ada",
        "hyperinfer profile use work",
        'hyperinfer ask --profile work "What is 2 + 2?"',
        "hyperinfer profile name admin home",
    ),
)
def command() -> None:
    """List, use, name and remove the profiles of this machine.

    A profile is a gateway, who you are there, and your credentials. The one in use is what commands act as; --profile NAME,
    which most of them take, and HYPERINFER_PROFILE choose another by the name that you gave it. Below, NAME may also be a
    user name or a gateway, where that is one profile alone.
    """


@command.command("list", epilog=examples("hyperinfer profile list"))
@options.as_json
def list_profiles(as_json: bool) -> None:
    """List the profiles.

    The one marked * is in use.
    """
    from hyperinfer.cli.table import clipped, show_table
    from hyperinfer.cli.times import minute
    from hyperinfer.sdk import profile

    held = profile.load().accounts
    if as_json:
        show_json([_seen(one, in_use=one is held[0]) for one in held])
    elif held:
        rows = [
            (
                one.profile + ("*" if one is held[0] else ""),
                one.username,
                clipped(one.gateway, ADDRESS_CHARS),
                one.api_key[:KEY_CHARS],
                minute(one.token_ends),
            )
            for one in held
        ]
        show_table(("profile", "user", "gateway", "key", "session ends"), rows, spare=("session ends", "key"))
    else:
        note("There is no profile yet. Run `hyperinfer up`, or `hyperinfer login --gateway URL`.")


@command.command("use", epilog=examples("hyperinfer profile use work"))
@name_argument
def use(name: str) -> None:
    """Act as the profile NAME from now on."""
    from hyperinfer.sdk import profile

    account = _found(name, profile.load().accounts)
    profile.save(account)
    say(f"You are {_title(account)} from now on.")


@command.command("name", epilog=examples("hyperinfer profile name admin home"))
@name_argument
@click.argument("new_name", metavar="NEW_NAME")
@click.pass_context
def rename(context: click.Context, name: str, new_name: str) -> None:
    """Give the profile NAME a name, or another one."""
    from hyperinfer.sdk import profile

    options.check_profile_name(context, new_name)
    held = profile.load()
    account = _found(name, held.accounts)
    other = held.named(new_name)
    if other is not None and other is not account:
        raise Conflict(f"Another profile has this name: {_title(other)}.")
    profile.keep(account, account.called(new_name))
    say(f"{_title(account)} is the profile {new_name} now.")


@command.command("remove", epilog=examples("hyperinfer profile remove work"))
@name_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(name: str, yes: bool) -> None:
    """Forget a profile and its credentials on this machine.

    Its account stays, and so does its API key: `hyperinfer logout` ends a session, `hyperinfer keys revoke` a key.
    """
    from hyperinfer.sdk import profile

    account = _found(name, profile.load().accounts)
    if not yes:
        click.confirm(f"Forget {_title(account)} and its credentials here?", abort=True, err=True)
    profile.remove(account)
    say(f"{_title(account)} is forgotten here.")


def _found(wanted: str, accounts: "Sequence[Account]") -> "Account":
    wanted = wanted.strip().rstrip("*")
    found = [one for one in accounts if wanted and one.profile == wanted]
    found = found or [one for one in accounts if wanted in (one.username, one.gateway, one.data_dir)]
    if not found:
        raise NotFound(f"You have no profile {wanted[:100]!r}. `hyperinfer profile list` shows those that you have.")
    if len(found) > 1:
        ways = ", ".join(sorted(one.data_dir or one.gateway for one in found))
        raise Conflict(f"Several of your profiles are called {wanted[:100]}. Say which: {ways}.")
    return found[0]


def _title(account: "Account") -> str:
    who = f"{account.username} at " if account.username else ""
    return f"{who}{account.gateway}"


def _seen(account: "Account", *, in_use: bool) -> dict[str, object]:
    return {
        "profile": account.profile or None,
        "username": account.username,
        "gateway": account.gateway,
        "key_prefix": account.api_key[:KEY_CHARS],
        "session_ends": account.token_ends,
        "in_use": in_use,
    }
