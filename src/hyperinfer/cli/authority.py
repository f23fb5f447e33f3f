"""Auth's place on this machine: who the swarm's auth is, and its identity where it is at hand."""

from pathlib import Path

from hyperinfer.cli.places import load, paths
from hyperinfer.errors import Conflict, IdentityError
from hyperinfer.facilities.clock import SystemClock
from hyperinfer.facilities.net import Identity
from hyperinfer.kernel import identity, members, swarm
from hyperinfer.kernel.membership import epochs
from hyperinfer.kernel.paths import Paths


def at_hand(folder: Path) -> Identity | None:
    """The identity of the swarm's auth, if it lives on this machine: what it signs holds everywhere."""
    epoch = epochs.current(folder)
    if epoch is None:
        return None
    data = paths(load("auth")).data
    for path in (data / "identity", *sorted(data.parent.glob("auth-*/identity"))):
        try:
            found = identity.load_or_create(path) if path.exists() else None
        except IdentityError:
            continue  # the worker itself says so; others can do without
        if found is not None and found.public_key.hex() == epoch.auth:
            return found
    return None


def found(place: Paths) -> Identity:
    """Make this auth the swarm's, as its first: the root key names it, and it is a member. Returns its identity."""
    auth = identity.load_or_create(place.identity)
    epochs.name_auth(place.swarm, auth.public_key)
    members.add(place.swarm, auth.public_key, roles=("auth",), name=place.name, now=SystemClock().now(), auth=auth)
    return auth


def auth_key(folder: Path) -> bytes:
    """The public key of the swarm's auth, which is named now if none has been. Raises `Conflict` where auth is not."""
    if swarm.follows(folder):
        raise Conflict("Auth is not on this machine, and only there can this be done.")
    epoch = epochs.current(folder)
    return bytes.fromhex(epoch.auth) if epoch else found(paths(load("auth"))).public_key
