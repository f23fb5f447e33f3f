"""Join codes: all that a machine needs to ask for membership, in one word to paste. Pure.

`hij_` + base58 of: version (1 byte), role (1), expiry (4, seconds since the epoch), swarm key, root public key, auth's
public key, seed (32 each), the number of bootstrap nodes (1) with the length (1) and text of each, checksum (4, the start
of a SHA-256). The seed is a secret: whoever has it may join once.
"""

import hashlib
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime

from hyperinfer.errors import BadRequest
from hyperinfer.protocol import base58

PREFIX = "hij_"
VERSION = 1
ROLES = ("gateway", "inference", "client", "web", "metrics")
"""Roles that an invite may give, by their number in a code. Auth is not among them: an epoch names it."""
KEY_BYTES = 32
MAX_BOOTSTRAP = 8
MAX_ADDRESS_BYTES = 100
MAX_LENGTH = 1600
"""Characters of the longest code that is looked at."""

_HEAD = struct.Struct(f">BBI{KEY_BYTES}s{KEY_BYTES}s{KEY_BYTES}s{KEY_BYTES}s")
_CHECKSUM_BYTES = 4

NOT_A_CODE = "This is no join code: a part of it may be missing. Copy the whole word that `hyperinfer invite` printed."


@dataclass(frozen=True, slots=True)
class JoinCode:
    """What a code says. Keys and seed are 32 bytes each; `bootstrap` are the nodes of a private DHT, none for the public."""

    role: str
    expires: datetime
    root_key: bytes
    auth_key: bytes
    swarm_key: bytes = field(repr=False)
    seed: bytes = field(repr=False)
    bootstrap: tuple[str, ...] = ()


def encode(code: JoinCode) -> str:
    """The word. Raises `BadRequest` for more or longer bootstrap nodes than a code holds."""
    nodes = [node.encode() for node in code.bootstrap]
    if len(nodes) > MAX_BOOTSTRAP or any(not 0 < len(node) <= MAX_ADDRESS_BYTES for node in nodes):
        raise BadRequest(f"A join code holds up to {MAX_BOOTSTRAP} bootstrap nodes.", param="bootstrap")
    head = _HEAD.pack(
        VERSION,
        ROLES.index(code.role),
        int(code.expires.timestamp()),
        code.swarm_key,
        code.root_key,
        code.auth_key,
        code.seed,
    )
    content = head + bytes([len(nodes)]) + b"".join(bytes([len(node)]) + node for node in nodes)
    return PREFIX + base58.encode(content + _checksum(content))


def decode(text: str) -> JoinCode:
    """What a word says; spaces and line breaks in it are passed over. Raises `BadRequest`."""
    word = "".join(text.split())
    if not word.startswith(PREFIX) or len(word) > MAX_LENGTH:
        raise BadRequest(NOT_A_CODE, param="code")
    try:
        whole = base58.decode(word.removeprefix(PREFIX))
        content, checksum = whole[:-_CHECKSUM_BYTES], whole[-_CHECKSUM_BYTES:]
        if checksum != _checksum(content):
            raise BadRequest(NOT_A_CODE, param="code")
        if content[0] != VERSION:
            raise BadRequest("This join code is of another version of hyperinfer; update this machine.", param="code")
        _, role, expires, swarm_key, root_key, auth_key, seed = _HEAD.unpack_from(content)
        return JoinCode(
            role=ROLES[role],
            expires=datetime.fromtimestamp(expires, UTC),
            root_key=root_key,
            auth_key=auth_key,
            swarm_key=swarm_key,
            seed=seed,
            bootstrap=_nodes(content[_HEAD.size :]),
        )
    except (ValueError, IndexError, struct.error) as error:
        raise BadRequest(NOT_A_CODE, param="code") from error


def _nodes(content: bytes) -> tuple[str, ...]:
    count, at, nodes = content[0], 1, []
    for _ in range(count):
        length = content[at]
        nodes.append(content[at + 1 : at + 1 + length].decode())
        at += 1 + length
    if at != len(content) or count > MAX_BOOTSTRAP:
        raise ValueError("The end is not where it should be.")
    return tuple(nodes)


def _checksum(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()[:_CHECKSUM_BYTES]
