"""The keys that sign session tokens: seeds in files of their own, never in the database."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hyperinfer.errors import IdentityError
from hyperinfer.facilities.clock import Clock
from hyperinfer.kernel.files import read_secret, write_atomic
from hyperinfer.kernel.identity import SEED_BYTES
from hyperinfer.protocol import session_tokens
from hyperinfer.workers.auth.models import SigningKeyRow
from hyperinfer.workers.auth.store import AuthStore

FOLDER = "jwt"
KEY_ID_LENGTH = 16

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key pair with the id that tokens name it by: the start of its public key."""

    private: Ed25519PrivateKey = field(repr=False)

    @property
    def public_hex(self) -> str:
        """The public half in hexadecimal."""
        return self.private.public_key().public_bytes_raw().hex()

    @property
    def key_id(self) -> str:
        """What tokens call it."""
        return self.public_hex[:KEY_ID_LENGTH]

    @property
    def public_jwk(self) -> dict[str, str]:
        """The public half, as a JWK."""
        return session_tokens.public_jwk(self.private, self.key_id)


async def signing_key(store: AuthStore, data: Path, clock: Clock) -> SigningKey:
    """The key that signs now, made if there is none.

    One whose seed file is gone is retired and said so: its sessions end, and nothing else is lost with it. Raises
    `IdentityError` for a file that is damaged, open to others, or of another key.
    """
    folder = data / FOLDER
    async with store.signing_keys() as keys:
        row = await keys.current()
        if row is not None:
            if key := _read(folder, row):
                return key
            log.warning("signing_key_lost", key_id=row.id, consequence="everybody has to log in again")
            row.retired_at = clock.now()
        made = _write(folder)
        keys.add(SigningKeyRow(id=made.key_id, public_key=made.public_hex, created_at=clock.now(), retired_at=None))
        return made


def _file(folder: Path, key_id: str) -> Path:
    return folder / f"{key_id}.key"


def _read(folder: Path, row: SigningKeyRow) -> SigningKey | None:
    """The key that the database names; nothing if its file is gone."""
    path = _file(folder, row.id)
    if not os.path.lexists(path):
        return None
    key = SigningKey(Ed25519PrivateKey.from_private_bytes(read_secret(path, SEED_BYTES, "signing key")))
    if key.public_hex != row.public_key:
        raise IdentityError(
            f"The signing key {path} is not the one that the database names. Restore it from a backup; if there is "
            "none, move it away: a new one is made, and everybody has to log in again."
        )
    return key


def _write(folder: Path) -> SigningKey:
    """Make a key; its seed is on the disk before the database names it."""
    seed = os.urandom(SEED_BYTES)
    key = SigningKey(Ed25519PrivateKey.from_private_bytes(seed))
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomic(_file(folder, key.key_id), seed, mode=0o600)
    except OSError as error:
        raise IdentityError(f"Cannot write a signing key in {folder}: {error.strerror}.") from error
    return key
