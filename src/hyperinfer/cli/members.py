"""`hyperinfer members`: which workers the swarm admits."""

import click

from hyperinfer.cli import options
from hyperinfer.cli.examples import examples
from hyperinfer.cli.manner import note, say, show_json
from hyperinfer.cli.places import ALIASES, known_swarm
from hyperinfer.cli.table import show_table
from hyperinfer.errors import Conflict, NotFound
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.kernel import members
from hyperinfer.kernel.members import Member

SHORT = 12
"""How many digits of a key are shown, and are enough to name a member."""


@click.group(
    "members",
    epilog=examples(
        "hyperinfer members add $(hyperinfer identity gateway) --role gateway",
        "hyperinfer members revoke old-laptop",
    ),
)
def command() -> None:
    """Say which workers the swarm admits.

    The list is the file members.json in the swarm's folder. Workers of this machine follow its changes within a second;
    other machines need a copy of it.
    """


@command.command("add")
@click.argument("key")
@click.option(
    "--role",
    "roles",
    multiple=True,
    required=True,
    type=click.Choice(sorted({*members.ROLES, *ALIASES})),
    help="What the worker may be; may be repeated.",
)
@click.option("--name", default="", help="What to call it.")
def add(key: str, roles: tuple[str, ...], name: str) -> None:
    """Admit a worker by its public KEY, as `hyperinfer identity` prints it there."""
    wanted = [ALIASES.get(role, role) for role in roles]
    member = members.add(
        known_swarm(), members.parse_key(key.strip()), roles=wanted, name=name, now=SystemClock().now()
    )
    say(f"{_title(member)} is a member as {', '.join(member.roles)}.")


@command.command("list")
@options.as_json
def list_members(as_json: bool) -> None:
    """List the members, those revoked included."""
    found = members.read(known_swarm()).members
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
                one.since and f"{one.since:%Y-%m-%d}",
                one.revoked and f"{one.revoked:%Y-%m-%d}",
            )
            for one in found
        ]
        show_table(("key", "name", "roles", "since", "revoked"), rows)
    else:
        note("There is no member yet: the swarm admits nobody.")


@command.command("revoke")
@click.argument("key")
def revoke(key: str) -> None:
    """Stop admitting a worker, named by its public KEY, 8 or more of its first digits, or its name.

    Its connections are cut within seconds.
    """
    folder = known_swarm()
    member = members.revoke(folder, _find(key.strip(), members.read(folder).members).key, now=SystemClock().now())
    say(f"{_title(member)} is no member any more.")


def _find(wanted: str, all_members: tuple[Member, ...]) -> Member:
    start = wanted.lower()
    found = [one for one in all_members if one.name == wanted or (len(start) >= 8 and one.public_key.startswith(start))]
    if not found:
        raise NotFound("No member has this key or name. `hyperinfer members list` shows all.")
    if len(found) > 1:
        raise Conflict("Several members match. Give the whole key, as `hyperinfer members list --json` shows it.")
    return found[0]


def _title(member: Member) -> str:
    return f"{member.name} ({member.public_key[:SHORT]})" if member.name else member.public_key[:SHORT]
