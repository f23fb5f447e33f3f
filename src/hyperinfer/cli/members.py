"""`hyperinfer members`: which workers the swarm admits."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hyperinfer.cli import options
from hyperinfer.cli.examples import examples
from hyperinfer.cli.manner import note, say, show_json
from hyperinfer.cli.noted import noted
from hyperinfer.cli.places import ALIASES, known_swarm
from hyperinfer.cli.table import show_table
from hyperinfer.cli.times import day
from hyperinfer.contracts.method import ANY_MEMBER
from hyperinfer.errors import Conflict, NotFound
from hyperinfer.facilities.clock import SystemClock

if TYPE_CHECKING:
    from hyperinfer.contracts.membership import Member

SHORT = 12
"""How many digits of a key are shown, and are enough to name a member."""


@click.group(
    "members",
    invoke_without_command=True,
    epilog=examples(
        "hyperinfer members add $(hyperinfer identity gateway) --role gateway",
        "hyperinfer members revoke old-laptop",
    ),
)
@options.as_json
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """Say which workers the swarm admits.

    The list is kept where auth lives, and is changed there. A change reaches the workers of every machine within seconds;
    machines that cannot be reached take it up when they return. `hyperinfer invite` admits machines without copying keys.
    """
    if context.invoked_subcommand is None:
        _list(as_json=as_json)


@command.command(
    "add",
    short_help="Admit a worker by its public KEY.",
    epilog=examples("hyperinfer members add KEY --role inference --name gpu-box"),
)
@click.argument("key")
@click.option(
    "--role",
    "roles",
    multiple=True,
    required=True,
    type=click.Choice(sorted({*ANY_MEMBER.roles, *ALIASES})),
    help="What the worker may be; may be repeated.",
)
@click.option("--name", default="", help="What to call it.")
def add(key: str, roles: tuple[str, ...], name: str) -> None:
    """Admit a worker by its public KEY, as `hyperinfer identity` prints it there."""
    from hyperinfer.cli import authority
    from hyperinfer.kernel import members

    wanted = [ALIASES.get(role, role) for role in roles]
    folder = known_swarm()
    member = members.add(
        folder,
        members.parse_key(key.strip()),
        roles=wanted,
        name=name,
        now=SystemClock().now(),
        auth=authority.at_hand(folder),
    )
    say(f"{_title(member)} is a member as {', '.join(member.roles)}.")
    noted("member.added", member=member.public_key, roles=" ".join(member.roles))


@command.command("list", epilog=examples("hyperinfer members list"))
@options.as_json
def list_members(as_json: bool) -> None:
    """List the members, those revoked included."""
    _list(as_json=as_json)


def _list(*, as_json: bool) -> None:
    found = _members(known_swarm())
    if as_json:
        show_json(
            [
                {
                    "public_key": one.public_key,
                    "roles": one.roles,
                    "name": one.name,
                    "since": one.since,
                    "revoked": one.revoked,
                }
                for one in found
            ]
        )
    elif found:
        rows = [
            (
                one.public_key[:SHORT],
                one.name,
                ",".join(one.roles),
                day(one.since),
                day(one.revoked),
            )
            for one in found
        ]
        show_table(("key", "name", "roles", "since", "revoked"), rows, spare=("since",))
    else:
        note("There is no member yet: the swarm admits nobody.")


@command.command("revoke", short_help="Stop admitting a worker.", epilog=examples("hyperinfer members revoke gpu-box"))
@click.argument("key")
def revoke(key: str) -> None:
    """Stop admitting a worker, named by its public KEY, 8 or more of its first digits, or its name.

    Its connections are cut within seconds.
    """
    from hyperinfer.cli import authority
    from hyperinfer.kernel import members

    folder = known_swarm()
    found = _find(key.strip(), _members(folder))
    member = members.revoke(folder, found.key, now=SystemClock().now(), auth=authority.at_hand(folder))
    say(f"{_title(member)} is no member any more.")
    noted("member.revoked", member=member.public_key)


@command.command("rename", epilog=examples("hyperinfer members rename gpu-box attic"))
@click.argument("key")
@click.argument("name")
def rename(key: str, name: str) -> None:
    """Give a worker, named as in `revoke`, another NAME."""
    from hyperinfer.cli import authority
    from hyperinfer.kernel import members

    folder = known_swarm()
    found = _find(key.strip(), _members(folder))
    member = members.rename(folder, found.key, name, now=SystemClock().now(), auth=authority.at_hand(folder))
    say(f"{_title(found)} is now {_title(member)}.")
    noted("member.renamed", member=member.public_key, name=member.name)


def _members(folder: Path) -> "tuple[Member, ...]":
    from hyperinfer.kernel.membership import file

    return file.read(folder).members


def _find(wanted: str, all_members: "tuple[Member, ...]") -> "Member":
    start = wanted.lower()
    found = [one for one in all_members if one.name == wanted or (len(start) >= 8 and one.public_key.startswith(start))]
    # Of those that share a name, the ones that were revoked are seldom meant.
    found = [one for one in found if one.revoked is None] or found
    if not found:
        raise NotFound("No member has this key or name. `hyperinfer members list` shows all.")
    if len(found) > 1:
        raise Conflict("Several members match. Give the whole key, as `hyperinfer members list --json` shows it.")
    return found[0]


def _title(member: "Member") -> str:
    return f"{member.name} ({member.public_key[:SHORT]})" if member.name else member.public_key[:SHORT]
