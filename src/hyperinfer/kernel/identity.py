"""Identities: a 32-byte ed25519 seed in a file that only its owner reads; made once, never silently replaced."""

import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hyperinfer.errors import IdentityError
from hyperinfer.facilities.net import Identity
from hyperinfer.kernel.files import read_secret, sync_folder

SEED_BYTES = 32


def from_seed(seed: bytes) -> Identity:
    """The identity of a seed: the same key pair as libsodium's `crypto_sign_seed_keypair`, thus as HyperDHT's."""
    return Identity(public_key=Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw(), seed=seed)


def load_or_create(path: Path, what: str = "identity") -> Identity:
    """The identity in a file, made now if there is no file.

    Raises `IdentityError` for a file that is there but unreadable, damaged or open to others.
    """
    if not os.path.lexists(path):
        _create(path, what)
    return from_seed(read_secret(path, SEED_BYTES, what))


def _create(path: Path, what: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(os.urandom(SEED_BYTES))
            file.flush()
            os.fsync(file.fileno())
        # A link, unlike a rename, fails where another process was first: its identity stays.
        os.link(temporary, path)
        sync_folder(path.parent)
    except FileExistsError:
        return
    except OSError as error:
        raise IdentityError(f"Cannot write {what} {path}: {error.strerror}.") from error
    finally:
        temporary.unlink(missing_ok=True)
