"""The folders of this machine's workers and the profile: whose they are, and who may read them."""

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from hyperinfer.cli.checks import Finding, Here, counted, fail, ok
from hyperinfer.errors import IdentityError, StartError
from hyperinfer.kernel import swarm
from hyperinfer.kernel.files import read_secret
from hyperinfer.kernel.identity import SEED_BYTES
from hyperinfer.kernel.membership import epochs, file

HOME = "home"


async def check(here: Here) -> Sequence[Finding]:
    """Everything of this file."""
    private = [path for path in _private(here) if path.exists()]
    return [
        *_home(here),
        *_identities(here),
        *_swarm(here),
        *open_to_others(private),
        *not_ours([*private, *(path for path in (here.home / "logs", here.home / "status") if path.exists())]),
        *_profile(),
    ]


def open_to_others(paths: Sequence[Path]) -> list[Finding]:
    """Judge folders that are meant for their owner alone."""
    if os.name != "posix":
        return []
    readable = [path for path in paths if stat.S_IMODE(path.stat().st_mode) & 0o077]
    if not readable:
        return [ok("permissions", "data and keys are their owner's alone")] if paths else []
    named = " ".join(map(str, readable))
    return [fail("permissions", f"Others may look into {named}.", f"chmod go= {named}")]


def not_ours(paths: Sequence[Path], uid: int | None = None) -> list[Finding]:
    """Judge folders that another user made, as after a start with sudo. Root may use everybody's."""
    own = os.geteuid() if uid is None else uid
    others = [path for path in paths if own and path.stat().st_uid != own]
    if not others:
        return []
    named = " ".join(map(str, others))
    return [fail("permissions", f"{named} belong to another user.", f"sudo chown -R $(id -un) {named}")]


def _home(here: Here) -> Iterator[Finding]:
    if not here.home.is_dir():
        yield fail(HOME, f"There is no folder {here.home}.", f"mkdir -p {here.home}, or correct HYPERINFER_HOME")
    elif not os.access(here.home, os.W_OK | os.X_OK):
        yield fail(HOME, f"{here.home} cannot be written.", "Change to a folder of yours, or set HYPERINFER_HOME.")
    else:
        yield ok(HOME, str(here.home))


def _private(here: Here) -> Iterator[Path]:
    """Data folders, those of other racks too, and what this machine knows of its swarm."""
    swarms = set()
    for wtype in here.loaded:
        paths = here.paths(wtype)
        if paths is None:
            continue
        yield paths.data
        yield from sorted(paths.data.parent.glob(f"{wtype}-*"))
        swarms.add(paths.swarm)
    yield from sorted(swarms)


def _identities(here: Here) -> Iterator[Finding]:
    good = 0
    for folder in _private(here):
        path = folder / "identity"
        if not os.path.lexists(path):
            continue
        try:
            read_secret(path, SEED_BYTES, "identity")
            good += 1
        except IdentityError as error:
            yield fail(f"identity {folder.name}", error.message, "Do as it says.")
    if good:
        yield ok("identities", f"{good} can be read, by their owner alone")


def _swarm(here: Here) -> Iterator[Finding]:
    paths = here.paths("auth")
    if paths is None:
        return
    folder = paths.swarm
    if not swarm.exists(folder):
        yield ok("swarm", "this machine belongs to none yet: `hyperinfer up` makes one, `hyperinfer join` enters one")
        return
    try:
        swarm.load(folder)
        members = [member for member in file.read(folder).members if member.revoked is None]
        epoch = epochs.current(folder)
    except (StartError, IdentityError) as error:
        yield fail("swarm", error.message, "Bring it back from a backup, or join again with another code.")
        return
    where = "followed from auth elsewhere" if swarm.follows(folder) else "auth is here"
    number = f", epoch {epoch.epoch}" if epoch else ""
    yield ok("swarm", f"{counted(len(members), 'member')}{number}; {where}")


def _profile() -> Iterator[Finding]:
    from hyperinfer.sdk import profile

    path = profile.path()
    try:
        held = profile.load()
    except IdentityError as error:
        yield fail("profile", error.message, "Do as it says.")
        return
    if held.accounts:
        yield ok("profile", f"{len(held.accounts)} in {path}, its owner's alone")
    else:
        yield ok("profile", "none yet: `hyperinfer up`, `hyperinfer login` and `hyperinfer register` make one")
