"""What a machine knows of its swarm: the swarm key that hides the topics, the root public key, where it is kept the root key.

A machine of members holds `swarm.key`, `root.pub` and `members.json`. Auth's machine holds `epoch.json`, which names its
auth, and `root.key`, which may be taken off it: the recovery words bring it back.
"""

import hashlib
import hmac
import os
from dataclasses import dataclass, field
from pathlib import Path

from hyperinfer.errors import Conflict, IdentityError, StartError
from hyperinfer.facilities.net import Identity
from hyperinfer.kernel.files import read_secret, write_atomic
from hyperinfer.kernel.identity import from_seed
from hyperinfer.protocol.topics import plain_topic, swarm_topic

KEY_BYTES = 32
SWARM_KEY_FILE = "swarm.key"
ROOT_KEY_FILE = "root.key"
ROOT_PUBLIC_KEY_FILE = "root.pub"
EPOCH_FILE = "epoch.json"

SWARM_KEY_OF_ROOT = b"hyperinfer swarm key 1"


@dataclass(frozen=True, slots=True)
class SwarmKeys:
    """The swarm key (32 bytes). It hides topics from strangers and is never a credential."""

    key: bytes = field(repr=False)

    def topic(self, name: str) -> bytes:
        """The topic of a service name inside this swarm."""
        return swarm_topic(name, self.key)

    def secret(self, purpose: str) -> bytes:
        """32 bytes that every member of this swarm can work out, and nobody else; another one for each purpose."""
        return hmac.digest(self.key, b"hyperinfer secret " + purpose.encode(), "sha256")

    def plain_topic(self, name: str) -> bytes:
        """The topic of a service name for clients that know no swarm key."""
        return plain_topic(name)


def create(folder: Path) -> Identity:
    """Make a swarm: its root key pair and its swarm key. Returns the root identity.

    Raises `Conflict` if the folder holds a swarm already.
    """
    return restore(folder, os.urandom(KEY_BYTES))


def restore(folder: Path, root_seed: bytes) -> Identity:
    """Make a swarm's keys from the seed of its root key, from which the swarm key follows. Returns the root identity.

    Raises `Conflict` if the folder holds a swarm already.
    """
    for name in (SWARM_KEY_FILE, ROOT_KEY_FILE, ROOT_PUBLIC_KEY_FILE):
        if os.path.lexists(folder / name):
            raise Conflict(f"{folder} holds a swarm already ({name}); it is never replaced.")
    root = from_seed(root_seed)
    keep_root(folder, root)
    adopt(folder, root_key=root.public_key, swarm_key=_swarm_key(root_seed))
    return root


def keep_root(folder: Path, root: Identity) -> None:
    """Keep the root key on this machine."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomic(folder / ROOT_KEY_FILE, root.seed, mode=0o600)


def adopt(folder: Path, *, root_key: bytes, swarm_key: bytes) -> None:
    """Belong to the swarm of a root public key; the swarm key comes last, and with it the folder holds a swarm."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomic(folder / ROOT_PUBLIC_KEY_FILE, root_key.hex().encode() + b"\n")
    write_atomic(folder / SWARM_KEY_FILE, swarm_key, mode=0o600)


def exists(folder: Path) -> bool:
    """Whether a machine belongs to a swarm."""
    return os.path.lexists(folder / SWARM_KEY_FILE)


def load(folder: Path) -> SwarmKeys:
    """The swarm key of a machine. Raises `StartError` if there is none, `IdentityError` if it is damaged."""
    if not exists(folder):
        raise StartError(
            f"This machine belongs to no swarm: {folder / SWARM_KEY_FILE} is not there. Run `hyperinfer swarm init`, "
            "or `hyperinfer join` with the code that `hyperinfer invite` prints on auth's machine."
        )
    return SwarmKeys(read_secret(folder / SWARM_KEY_FILE, KEY_BYTES, "swarm key"))


def nobodys() -> SwarmKeys:
    """The keys of a process on a machine that belongs to no swarm: nobody else is found under its topics."""
    return SwarmKeys(os.urandom(KEY_BYTES))


def root(folder: Path) -> Identity | None:
    """The root key, where it is kept. Raises `IdentityError` if it is damaged."""
    if not os.path.lexists(folder / ROOT_KEY_FILE):
        return None
    return from_seed(read_secret(folder / ROOT_KEY_FILE, KEY_BYTES, "root key"))


def root_public_key(folder: Path) -> bytes | None:
    """The public key that names the swarm, where it is known. Raises `IdentityError` if its file is damaged."""
    path = folder / ROOT_PUBLIC_KEY_FILE
    if not os.path.lexists(path):
        kept = root(folder)
        return kept.public_key if kept else None
    try:
        key = bytes.fromhex(path.read_text("ascii").strip())
    except OSError as error:
        raise IdentityError(f"Cannot read the root public key {path}: {error.strerror}.") from error
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise IdentityError(
            f"The root public key {path} is damaged; it holds 64 hexadecimal digits, as on other machines."
        )
    return key


def follows(folder: Path) -> bool:
    """Whether this machine takes its member list from an auth elsewhere."""
    return os.path.lexists(folder / ROOT_PUBLIC_KEY_FILE) and not (
        os.path.lexists(folder / EPOCH_FILE) or os.path.lexists(folder / ROOT_KEY_FILE)
    )


def _swarm_key(root_seed: bytes) -> bytes:
    """The swarm key that follows from a root key, so that the recovery words restore both; it tells nothing of it."""
    return hmac.new(root_seed, SWARM_KEY_OF_ROOT, hashlib.sha256).digest()
