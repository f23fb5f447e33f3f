"""`hyperinfer swarm`: make a swarm, look at it, and bring it back from its recovery words."""

from pathlib import Path
from typing import Any

import click

from hyperinfer.cli import options
from hyperinfer.cli.examples import examples
from hyperinfer.cli.manner import note, say, show_json
from hyperinfer.cli.noted import noted
from hyperinfer.cli.places import known_swarm, load, paths, swarm_folder
from hyperinfer.cli.times import second

MAX_COPY_BYTES = 64 * 1024 * 1024


@click.group("swarm", epilog=examples("hyperinfer swarm show", "hyperinfer swarm recovery"))
def command() -> None:
    """Make a swarm, look at it, or bring it back."""


@command.command("init", epilog=examples("hyperinfer swarm init"))
@options.as_json
def init(as_json: bool) -> None:
    """Make a swarm on this machine, where its auth worker will run.

    This makes the root key, which names the swarm and its auth, and the swarm key, which hides its topics and goes to
    every member. `hyperinfer up` does it by itself.
    """
    from hyperinfer.cli import authority
    from hyperinfer.kernel import swarm

    folder = swarm_folder()
    root = swarm.create(folder)
    auth = authority.found(paths(load("auth")))
    noted("swarm.made", root_key=root.public_key.hex())
    if as_json:
        show_json({"root_key": root.public_key.hex(), "auth_key": auth.public_key.hex(), "folder": str(folder)})
        return
    say(f"swarm   {root.public_key.hex()}")
    say(f"auth    {auth.public_key.hex()}")
    say(f"folder  {folder}")
    note(
        "Write down its recovery words, with which it can be brought back: hyperinfer swarm recovery\n"
        "Each further machine joins by a code of its own: hyperinfer invite --role inference"
    )


@command.command(
    "show", short_help="Show which swarm this machine belongs to.", epilog=examples("hyperinfer swarm show")
)
@options.as_json
def show(as_json: bool) -> None:
    """Show which swarm this machine belongs to, and how new its member list is."""
    seen = _seen(known_swarm())
    if as_json:
        show_json(seen)
        return
    issued = seen["issued_at"]
    signed = f"version {seen['version']} of {second(issued)}" if issued else "not signed yet"
    say(f"swarm    {seen['root_key'] or 'unknown: its root public key is not here'}")
    say(f"auth     {seen['auth_key'] or '-'}")
    say(f"epoch    {seen['epoch'] or '-'}")
    say(f"list     {signed}")
    say(f"members  {seen['members']}")
    say(f"here     {seen['here']}")
    say(f"folder   {seen['folder']}")


@command.command("recovery", epilog=examples("hyperinfer swarm recovery"))
def recovery() -> None:
    """Print the recovery words: the root key, to be kept on paper.

    Whoever has them can put another auth in the place of this one. With them written down, root.key may be taken off
    this machine.
    """
    from hyperinfer.kernel.membership import recovery as words

    shown = words.words(known_swarm())
    noted("swarm.recovery_words_shown")
    say(shown)
    note("These words are the root key itself: keep them on paper, and show them to nobody.")


@command.command(
    "recover",
    short_help="Make this machine's auth the swarm's.",
    epilog=examples("hyperinfer swarm recover", "hyperinfer swarm recover < words.txt"),
)
@click.option("--root-key", metavar="KEY", help="The swarm's public key: words of another one are refused.")
@click.option(
    "--members",
    "copy",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A copy of members.json from any machine of the swarm.",
)
@options.rack
@options.as_json
def recover(root_key: str | None, copy: Path | None, rack: str | None, as_json: bool) -> None:
    """Make this machine's auth the swarm's, in place of one that is gone.

    It asks for the recovery words, unless the root key is here already. The members are those that this machine knows,
    or those of the copy; they follow the new auth as soon as they find it. Without a list, admit them anew. The new auth
    has no accounts: restore their database from a backup first.
    """
    from hyperinfer.facilities.clock import SystemClock
    from hyperinfer.kernel import identity, members, swarm
    from hyperinfer.kernel.membership import recovery as words

    folder = swarm_folder()
    root = swarm.root(folder) or words.root_of(click.prompt("Recovery words", prompt_suffix=": ", err=True))
    words.recover(folder, root, expected=members.parse_key(root_key) if root_key else None)
    auth = identity.load_or_create(paths(load("auth"), rack).identity)
    content = copy.read_bytes() if copy else None
    words.take_over(folder, auth, now=SystemClock().now(), copy=content)
    noted("swarm.recovered", auth_key=auth.public_key.hex())
    seen = _seen(folder)
    if as_json:
        show_json(seen)
        return
    say(f"swarm    {seen['root_key']}")
    say(f"auth     {seen['auth_key']}")
    say(f"epoch    {seen['epoch']}")
    say(f"members  {seen['members']}")
    note("Start it with `hyperinfer worker --wtype auth`. The auth of before is no member any more.")


def _seen(folder: Path) -> dict[str, Any]:
    from hyperinfer.kernel import swarm
    from hyperinfer.kernel.membership import epochs, file
    from hyperinfer.protocol import membership

    root = swarm.root_public_key(folder)
    held = file.read(folder)
    own = epochs.current(folder)
    proven = membership.verify(held.published, root=root) if held.published and root else None
    epoch = own or (proven.epoch if proven else None)
    return {
        "root_key": root.hex() if root else None,
        "auth_key": epoch.auth if epoch else None,
        "epoch": epoch.epoch if epoch else None,
        "version": proven.list.version if proven else None,
        "issued_at": proven.list.issued_at if proven else None,
        "members": sum(one.revoked is None for one in held.members),
        "here": _here(folder),
        "folder": str(folder),
    }


def _here(folder: Path) -> str:
    from hyperinfer.kernel import swarm

    if swarm.follows(folder):
        return "a machine that joined: auth is elsewhere"
    if swarm.root(folder) is None:
        return "auth, without the root key" if swarm.root_public_key(folder) else "a copy made by hand"
    return "auth, with the root key"
