"""Which files belong to auth beside its database, and how they come back onto a machine: all of them, or none.

Three rules. What is on a machine and in the backup alike, stays. What tells of the audit log (its published heads) stays as
the machine has it, which knows more, unless the log is another one. What says who this auth is (the swarm's keys and members,
and auth's identity) is the machine's own as soon as it belongs to a swarm: to bring back an old list would admit again whom
it has revoked since.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from hyperinfer.errors import Conflict, StartError
from hyperinfer.kernel import swarm as swarms
from hyperinfer.kernel.files import sync_folder, write_atomic
from hyperinfer.kernel.paths import Paths
from hyperinfer.workers.auth.audit import heads, key, marks
from hyperinfer.workers.auth.audit.aside import FILE as ASIDE
from hyperinfer.workers.auth.signing import FOLDER as SIGNING

AUTH, SWARM = "auth", "swarm"
MAX_FILE_BYTES = 64 * 1024 * 1024
IDENTITY = "identity"
EVIDENCE = frozenset({heads.FILE, marks.FILE, ASIDE})
SWARM_FILES = (
    swarms.ROOT_KEY_FILE,
    swarms.ROOT_PUBLIC_KEY_FILE,
    swarms.SWARM_KEY_FILE,
    swarms.EPOCH_FILE,
    "members.json",
)
"""Invites are left out: one that was spent since the backup must not be open again."""


def found(paths: Paths) -> dict[str, Path]:
    """The files of this machine that go into a backup, by their names in it."""
    names = (IDENTITY, key.FILE, heads.FILE, marks.FILE, ASIDE)
    seeds = sorted((paths.data / SIGNING).glob("*.key"))
    wanted = {f"{AUTH}/{name}": paths.data / name for name in names}
    wanted |= {f"{AUTH}/{SIGNING}/{seed.name}": seed for seed in seeds}
    wanted |= {f"{SWARM}/{name}": paths.swarm / name for name in SWARM_FILES}
    return {name: path for name, path in wanted.items() if path.is_file()}


@dataclass(slots=True)
class Placing:
    """What is to be written where. What is `replaced` is kept beside it, under a name of `kept`."""

    write: dict[Path, bytes] = field(default_factory=dict)
    replaced: list[Path] = field(default_factory=list)
    kept: list[Path] = field(default_factory=list)
    keeps_swarm: bool = False


def plan(paths: Paths, staged: Path, names: list[str], *, force: bool) -> Placing:
    """What bringing these files back onto this machine takes.

    Raises `Conflict` where something of the machine's own would have to give way, unless forced.
    """
    placing = Placing(keeps_swarm=swarms.exists(paths.swarm))
    contents = {name: (staged / name).read_bytes() for name in names}
    another_swarm = _is_another_swarm(paths, contents)
    if another_swarm and not force:
        raise Conflict(
            f"This machine belongs to another swarm than the backup ({paths.swarm}). With --force the accounts are "
            "restored into this machine's swarm."
        )
    another_log = _differs(paths.data / key.FILE, contents.get(f"{AUTH}/{key.FILE}"))
    for name, content in contents.items():
        home, _, rest = name.partition("/")
        target = (paths.data if home == AUTH else paths.swarm) / rest
        identifies = home == SWARM or rest == IDENTITY
        if identifies and placing.keeps_swarm and (home == SWARM or target.exists() or another_swarm):
            continue
        if rest in EVIDENCE and target.exists() and not another_log:
            continue
        if _differs(target, content):
            if not force:
                raise Conflict(
                    f"{target} is there already and is not the one of the backup. With --force the backup's takes its "
                    "place; this one is kept beside it."
                )
            placing.replaced.append(target)
        if not target.exists() or target in placing.replaced:
            placing.write[target] = content
    return placing


@contextmanager
def placed(placing: Placing, now: datetime) -> Iterator[None]:
    """Write the files; an error in the block takes all of that back. Raises `StartError` if one cannot be written."""
    undo: list[tuple[Path, Path | None]] = []
    try:
        for target, content in placing.write.items():
            aside = set_aside(target, now) if target in placing.replaced else None
            undo.append((target, aside))
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_atomic(target, content, mode=0o600)
        yield
        placing.kept += [aside for _, aside in undo if aside]
    except BaseException as error:
        for target, aside in reversed(undo):
            target.unlink(missing_ok=True)
            if aside:
                aside.rename(target)
        if isinstance(error, OSError):
            raise StartError(f"A file cannot be written: {error}. Nothing was changed.") from error
        raise


def set_aside(path: Path, now: datetime) -> Path:
    """Give a file another name, under which it is kept."""
    aside = path.with_name(f"{path.name}.replaced-{now:%Y%m%dT%H%M%SZ}")
    number = 1
    while os.path.lexists(aside):
        number += 1
        aside = path.with_name(f"{path.name}.replaced-{now:%Y%m%dT%H%M%SZ}-{number}")
    path.rename(aside)
    sync_folder(path.parent)
    return aside


def _differs(path: Path, content: bytes | None) -> bool:
    return content is not None and path.exists() and path.read_bytes() != content


def _is_another_swarm(paths: Paths, contents: dict[str, bytes]) -> bool:
    theirs = contents.get(f"{SWARM}/{swarms.ROOT_PUBLIC_KEY_FILE}")
    ours = swarms.root_public_key(paths.swarm)
    return ours is not None and theirs is not None and theirs.decode(errors="replace").strip() != ours.hex()
