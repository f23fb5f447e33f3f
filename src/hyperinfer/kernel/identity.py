"""Identities: a 32-byte ed25519 seed in a file that only its owner reads; made once, never silently replaced."""

import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hyperinfer.facilities.net import Identity
from hyperinfer.kernel.files import make_secret, read_secret

SEED_BYTES = 32


def from_seed(seed: bytes) -> Identity:
    """The identity of a seed: the same key pair as libsodium's `crypto_sign_seed_keypair`, thus as HyperDHT's."""
    return Identity(public_key=Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw(), seed=seed)


def load_or_create(path: Path, what: str = "identity") -> Identity:
    """The identity in a file, made now if there is no file.

    Raises `IdentityError` for a file that is there but unreadable, damaged or open to others.
    """
    if not os.path.lexists(path):
        make_secret(path, SEED_BYTES, what)
    return from_seed(read_secret(path, SEED_BYTES, what))
