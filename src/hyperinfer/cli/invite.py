"""`hyperinfer invite`: one-time codes by which machines join."""

from pathlib import Path

import click

from hyperinfer.cli import options
from hyperinfer.cli.examples import examples
from hyperinfer.cli.manner import note, say, show_json
from hyperinfer.cli.noted import noted
from hyperinfer.cli.places import ALIASES, SETTINGS, known_swarm, load
from hyperinfer.cli.table import show_table
from hyperinfer.cli.times import duration, minute
from hyperinfer.facilities.clock import SystemClock

SHORT = 12
ROLES = sorted({*SETTINGS, *ALIASES} - {"auth"})


@click.group(
    "invite",
    invoke_without_command=True,
    epilog=examples("hyperinfer invite --role inference", "hyperinfer invite --role gateway --expires 1d"),
)
@click.option("--role", type=click.Choice(ROLES), help="What the worker that joins will be.")
@click.option("--name", default="", help="What to call it; otherwise it says so itself.")
@click.option(
    "--expires", default="1h", show_default=True, metavar="TIME", help="How long the code is good: 30m, 2h, 1d."
)
@options.as_json
@options.settings
@click.pass_context
def command(
    context: click.Context,
    role: str | None,
    name: str,
    expires: str,
    as_json: bool,
    env: str | None,
    file: Path | None,
    sets: tuple[str, ...],
) -> None:
    """Print a code by which one machine joins the swarm, once.

    This works on auth's machine, whether auth runs or not; auth must run when the code is used. Whoever has the code may
    join in your machine's place: send it as you would a password.
    """
    if context.invoked_subcommand is not None:
        return
    if role is None:
        raise click.UsageError("Missing option '--role'", context)
    from hyperinfer.cli import authority
    from hyperinfer.kernel import members, swarm
    from hyperinfer.kernel.membership import invites
    from hyperinfer.protocol import join_code

    folder = known_swarm()
    auth_key = authority.auth_key(folder)
    root_key = swarm.root_public_key(folder)
    assert root_key is not None  # or no auth would be named
    invite, seed = invites.create(
        folder,
        role=ALIASES.get(role, role),
        name=members.parse_name(name),
        lasts=duration(expires, "--expires"),
        now=SystemClock().now(),
    )
    noted("invite.made", invite=invite.id, role=invite.role)
    code = join_code.encode(
        join_code.JoinCode(
            role=invite.role,
            expires=invite.expires,
            root_key=root_key,
            auth_key=auth_key,
            swarm_key=swarm.load(folder).key,
            seed=seed.seed,
            bootstrap=_bootstrap(env, file, sets),
        )
    )
    if as_json:
        show_json({"code": code, "id": invite.id, "role": invite.role, "expires": invite.expires})
        return
    say(code)
    note(f"Good for one {invite.role} worker, until {minute(invite.expires)}. On its machine:\n  hyperinfer join CODE")


@command.command("list", epilog=examples("hyperinfer invite list"))
@options.as_json
def list_invites(as_json: bool) -> None:
    """List the invites and what has become of them."""
    from hyperinfer.kernel.membership import invites

    now = SystemClock().now()
    found = invites.read(known_swarm())
    if as_json:
        show_json(
            [
                {
                    "id": one.id,
                    "role": one.role,
                    "name": one.name,
                    "state": one.state(now),
                    "created": one.created,
                    "expires": one.expires,
                    "spent_by": one.spent_by,
                }
                for one in found
            ]
        )
    elif found:
        rows = [
            (
                one.id[:SHORT],
                one.role,
                one.name,
                one.state(now),
                minute(one.expires),
                one.spent_by and one.spent_by[:SHORT],
            )
            for one in found
        ]
        show_table(("id", "role", "name", "state", "expires", "spent by"), rows, spare=("spent by", "name", "expires"))
    else:
        note("There is no invite yet.")


@command.command("revoke", epilog=examples("hyperinfer invite revoke 3f2a91bc"))
@click.argument("invite", metavar="ID")
def revoke(invite: str) -> None:
    """Take back an open invite, named by the start of its ID. A member that joined is revoked by `members revoke`."""
    from hyperinfer.kernel.membership import invites

    gone = invites.revoke(known_swarm(), invite.strip(), now=SystemClock().now())
    say(f"The invite {gone.id[:SHORT]} admits nobody any more.")
    noted("invite.revoked", invite=gone.id)


def _bootstrap(env: str | None, file: Path | None, sets: tuple[str, ...]) -> tuple[str, ...]:
    """The nodes of a private DHT: as the settings name them, or as auth was told when it was started."""
    from hyperinfer.kernel import config
    from hyperinfer.kernel.status import read_all

    settings = load("auth", env=env, file=file, sets=sets).settings
    if settings.net.bootstrap:
        return tuple(settings.net.bootstrap)
    running = [one for one in read_all(config.home() / settings.status_dir) if one.wtype == "auth"]
    return running[0].bootstrap if running else ()
