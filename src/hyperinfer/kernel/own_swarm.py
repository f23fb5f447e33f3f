"""A swarm of one machine: made on the first start, with the machine's own workers as members."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from hyperinfer.errors import StartError
from hyperinfer.kernel import identity as identities
from hyperinfer.kernel import members as member_file
from hyperinfer.kernel import swarm as swarms
from hyperinfer.kernel.compose import Part
from hyperinfer.kernel.membership import file
from hyperinfer.kernel.paths import paths_of


def prepare(parts: Sequence[Part], *, home: Path, now: datetime) -> bool:
    """Make the swarm if there is none, and admit these workers; says whether a swarm was made.

    A member that was revoked stays so: its worker then runs, but nobody talks to it. Raises `StartError` on a machine
    that has joined the swarm of another, for workers that auth there has not admitted.
    """
    made = False
    for part in parts:
        paths = paths_of(part.worker.name, part.settings, home=home, rack=part.rack)
        if not swarms.exists(paths.swarm):
            swarms.create(paths.swarm)
            made = True
        key = identities.load_or_create(paths.identity).public_key
        if any(member.key == key for member in file.read(paths.swarm).members):
            continue
        if swarms.follows(paths.swarm):
            raise StartError(
                f"This machine has joined another's swarm, which its {part.worker.name} worker is no member of. "
                "`hyperinfer worker` runs the worker that joined; a further one joins by an invite of its own."
            )
        member_file.add(paths.swarm, key, roles=(part.worker.name,), name=paths.name, now=now)
    return made
