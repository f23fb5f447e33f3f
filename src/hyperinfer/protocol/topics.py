"""Topics: the 32 bytes under which a service name is announced and looked up."""

import hashlib
import hmac


def plain_topic(name: str) -> bytes:
    """BLAKE2b-256 of the UTF-8 name, as `HyperDHT.hash` (libsodium's `crypto_generichash`) computes it."""
    return hashlib.blake2b(name.encode(), digest_size=32).digest()


def swarm_topic(name: str, swarm_key: bytes) -> bytes:
    """The topic of a name inside a swarm: the name is first replaced by its raw HMAC-SHA256 under the swarm key.

    This is the look-up option `crypto: {algo: 'hmac-sha256', key}` of hp-svc-facs-net.
    """
    digest = hmac.new(swarm_key, name.encode(), hashlib.sha256).digest()
    return hashlib.blake2b(digest, digest_size=32).digest()
