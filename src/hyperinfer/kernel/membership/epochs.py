"""The epoch on auth's machine: the root key's word for which auth is the swarm's."""

from datetime import datetime
from pathlib import Path

import msgspec

from hyperinfer.contracts.membership import Epoch, Signed
from hyperinfer.errors import StartError
from hyperinfer.kernel import swarm
from hyperinfer.kernel.files import write_atomic
from hyperinfer.protocol import membership

FIRST = 1


def read(folder: Path) -> Signed | None:
    """The epoch of this machine's own auth as it was signed; nothing where no auth of this machine was ever named.

    Raises `StartError` if the file makes no sense.
    """
    path = folder / swarm.EPOCH_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Signed)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StartError(f"Cannot read {path}: {error.strerror}.") from error
    except msgspec.DecodeError as error:
        raise StartError(f"{path} cannot be understood: {error}") from error


def current(folder: Path) -> Epoch | None:
    """What that epoch says. Raises `StartError`, `Untrusted` if it is not this swarm's."""
    signed = read(folder)
    root_key = swarm.root_public_key(folder)
    return membership.verify_epoch(signed, root=root_key) if signed and root_key else None


def name_auth(folder: Path, auth_key: bytes) -> Signed:
    """The epoch that names this auth; the first one is made where the root key is here and has named nobody yet.

    Raises `StartError` if another auth is named, or nobody can be.
    """
    epoch = current(folder)
    if epoch is None:
        return _sign(folder, Epoch(epoch=FIRST, auth=auth_key.hex()))
    if epoch.auth != auth_key.hex():
        raise StartError(
            f"The swarm's auth is {epoch.auth[:12]}, and this one is {auth_key.hex()[:12]}. If that one is gone for good, "
            "`hyperinfer swarm recover` puts this one in its place."
        )
    signed = read(folder)
    assert signed is not None
    return signed


def succeed(folder: Path, auth_key: bytes, *, last: int, now: datetime) -> Signed:
    """Begin an epoch after the last one that is known, in which this auth is the swarm's. Raises `StartError`."""
    return _sign(folder, Epoch(epoch=membership.following(last, now), auth=auth_key.hex()))


def _sign(folder: Path, epoch: Epoch) -> Signed:
    root = swarm.root(folder)
    if root is None:
        raise StartError(
            f"The swarm's root key is not on this machine ({folder / swarm.ROOT_KEY_FILE}), so no auth can be named here. "
            "`hyperinfer swarm recover` brings it back from the recovery words."
        )
    signed = membership.sign_epoch(epoch, root_seed=root.seed)
    write_atomic(folder / swarm.EPOCH_FILE, msgspec.json.encode(signed) + b"\n")
    return signed
