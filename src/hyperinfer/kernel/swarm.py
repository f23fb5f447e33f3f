"""What a machine knows of its swarm: the swarm key that hides the topics, and where auth lives, the root key."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from hyperinfer.errors import Conflict, StartError
from hyperinfer.facilities.net import Identity
from hyperinfer.kernel.files import read_secret, write_atomic
from hyperinfer.kernel.identity import from_seed
from hyperinfer.protocol.topics import plain_topic, swarm_topic

KEY_BYTES = 32
SWARM_KEY_FILE = "swarm.key"
ROOT_KEY_FILE = "root.key"


@dataclass(frozen=True, slots=True)
class SwarmKeys:
    """The swarm key (32 bytes). It hides topics from strangers and is never a credential."""

    key: bytes = field(repr=False)

    def topic(self, name: str) -> bytes:
        """The topic of a service name inside this swarm."""
        return swarm_topic(name, self.key)

    def plain_topic(self, name: str) -> bytes:
        """The topic of a service name for clients that know no swarm key."""
        return plain_topic(name)


def create(folder: Path) -> Identity:
    """Make a swarm: its root key pair and its swarm key. Returns the root identity.

    Raises `Conflict` if the folder holds a swarm already.
    """
    for name in (SWARM_KEY_FILE, ROOT_KEY_FILE):
        if os.path.lexists(folder / name):
            raise Conflict(f"{folder} holds a swarm already ({name}); it is never replaced.")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    seed = os.urandom(KEY_BYTES)
    write_atomic(folder / ROOT_KEY_FILE, seed, mode=0o600)
    write_atomic(folder / SWARM_KEY_FILE, os.urandom(KEY_BYTES), mode=0o600)
    return from_seed(seed)


def exists(folder: Path) -> bool:
    """Whether a machine belongs to a swarm."""
    return os.path.lexists(folder / SWARM_KEY_FILE)


def load(folder: Path) -> SwarmKeys:
    """The swarm key of a machine. Raises `StartError` if there is none, `IdentityError` if it is damaged."""
    if not exists(folder):
        raise StartError(
            f"This machine belongs to no swarm: {folder / SWARM_KEY_FILE} is not there. Run `hyperinfer swarm init`, "
            "or copy swarm.key and members.json from the machine that did."
        )
    return SwarmKeys(read_secret(folder / SWARM_KEY_FILE, KEY_BYTES, "swarm key"))
