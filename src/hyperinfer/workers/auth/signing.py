"""The keys that sign session tokens: seeds in files of their own, never in the database."""

from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hyperinfer.kernel.identity import load_or_create
from hyperinfer.protocol import session_tokens

FOLDER = "jwt"
FILE = "signing.key"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key pair with the id that tokens name it by: the start of its public key."""

    key_id: str
    private: Ed25519PrivateKey = field(repr=False)

    @property
    def public_jwk(self) -> dict[str, str]:
        """The public half, as a JWK."""
        return session_tokens.public_jwk(self.private, self.key_id)


def signing_key(data: Path) -> SigningKey:
    """The signing key of a data folder, made now if there is none. Raises `IdentityError` if it is damaged."""
    pair = load_or_create(data / FOLDER / FILE, "signing key")
    return SigningKey(pair.public_key.hex()[:16], Ed25519PrivateKey.from_private_bytes(pair.seed))
