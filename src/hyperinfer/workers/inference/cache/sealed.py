"""Answers as strangers may see them: encrypted under a key that follows from the request, so that only who asks the same,
as the same user, can read the answer."""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hyperinfer.workers.inference.cache.keys import CacheKey

NONCE_BYTES = 12
SEAL_BYTES = NONCE_BYTES + 16
"""What sealing adds."""


def seal(key: CacheKey, data: bytes) -> bytes:
    """Encrypt with AES-256-GCM, bound to the key's name; a random nonce comes first (NIST SP 800-38D)."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key.secret).encrypt(nonce, data, key.name.encode())


def unseal(key: CacheKey, sealed: bytes) -> bytes | None:
    """What was sealed under this key; nothing if it was not, or has been changed."""
    try:
        return AESGCM(key.secret).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], key.name.encode())
    except (InvalidTag, ValueError):
        return None
