"""What holds of the swarm's members: statements signed and verified, and which of two lists is the newer. Pure.

Signatures are ed25519 (RFC 8032). Each kind of statement is signed behind a heading of its own, so that none can be shown
as another.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hyperinfer.contracts.membership import Certificate, Epoch, Introduction, Member, MemberList, Published, Signed
from hyperinfer.errors import Untrusted
from hyperinfer.protocol.typed_json import UNREADABLE

EPOCH = b"hyperinfer epoch 1\n"
MEMBERS = b"hyperinfer members 1\n"
CERTIFICATE = b"hyperinfer certificate 1\n"
JOINING = b"hyperinfer join 1\n"

INTRODUCTION_MAX_AGE_S = 24 * 3600.0
"""How old a certificate may be: this long a revoked gateway can still introduce itself to who knows the root key alone."""
CLOCKS_APART = timedelta(minutes=5)

_encoder = msgspec.json.Encoder()

T = TypeVar("T", Epoch, MemberList, Certificate)


@dataclass(frozen=True, slots=True)
class Proven:
    """A list whose whole chain of signatures has been followed from the root key."""

    epoch: Epoch
    list: MemberList

    @property
    def order(self) -> tuple[int, int]:
        """Of two lists the one with the greater order holds."""
        return self.epoch.epoch, self.list.version


def following(last: int, now: datetime) -> int:
    """The number after the last one: the time in seconds, or one more where that is not greater.

    Numbers grow even where the last one is lost, as after a restored backup.
    """
    return max(last + 1, int(now.timestamp()))


# --- signing ----------------------------------------------------------------------------------------------


def sign_epoch(epoch: Epoch, *, root_seed: bytes) -> Signed:
    """The epoch under the root key."""
    return _sign(EPOCH, _encoder.encode(epoch), root_seed)


def publish(members: MemberList, *, epoch: Signed, auth_seed: bytes, introduced: frozenset[str]) -> Published:
    """A list under auth's key, with certificates for the members of these roles."""
    return Published(
        epoch=epoch,
        members=_sign(MEMBERS, _encoder.encode(members), auth_seed),
        certificates={
            member.public_key: _sign(CERTIFICATE, _encoder.encode(_certificate(member, members)), auth_seed)
            for member in members.members
            if member.revoked is None and introduced.intersection(member.roles)
        },
    )


def joining(*, invite: bytes, root: bytes, role: str) -> bytes:
    """What a joining worker signs: it holds of this invite, this swarm and this role alone."""
    return JOINING + invite + root + role.encode()


def sign_joining(seed: bytes, *, invite: bytes, root: bytes, role: str) -> bytes:
    """The joining worker's signature."""
    return Ed25519PrivateKey.from_private_bytes(seed).sign(joining(invite=invite, root=root, role=role))


# --- verifying --------------------------------------------------------------------------------------------


def verify_epoch(signed: Signed, *, root: bytes) -> Epoch:
    """What the root key says. Raises `Untrusted`."""
    return _verify(EPOCH, signed, root, Epoch)


def verify(published: Published, *, root: bytes) -> Proven:
    """The list, if the root key's epoch names whoever signed it. Raises `Untrusted`."""
    epoch = verify_epoch(published.epoch, root=root)
    members = _verify(MEMBERS, published.members, bytes.fromhex(epoch.auth), MemberList)
    if members.epoch != epoch.epoch:
        raise Untrusted("The member list belongs to another epoch than the one that it came with.")
    return Proven(epoch, members)


def is_joining(signature: bytes, *, key: bytes, invite: bytes, root: bytes, role: str) -> bool:
    """Whether the holder of a worker's key has signed to join so."""
    return _is_signed(joining(invite=invite, root=root, role=role), signature, key)


def is_introduced(
    introduction: Introduction,
    *,
    root: bytes,
    peer: bytes,
    role: str,
    now: datetime,
    max_age_s: float = INTRODUCTION_MAX_AGE_S,
    least_epoch: int = 0,
) -> bool:
    """Whether a peer, whose key the handshake has proven, is a member of the root key's swarm with this role.

    True only for a certificate of that key, signed by the auth of an epoch that the root key signed, not older than
    `max_age_s`, and of `least_epoch` at least where the caller has seen that one.
    """
    try:
        epoch = verify_epoch(introduction.epoch, root=root)
        certificate = _verify(CERTIFICATE, introduction.certificate, bytes.fromhex(epoch.auth), Certificate)
    except Untrusted:
        return False
    age = now - certificate.issued_at
    return (
        certificate.epoch == epoch.epoch >= least_epoch
        and certificate.public_key == peer.hex()
        and role in certificate.roles
        and -CLOCKS_APART <= age <= timedelta(seconds=max_age_s)
    )


def _certificate(member: Member, members: MemberList) -> Certificate:
    return Certificate(
        epoch=members.epoch, public_key=member.public_key, roles=member.roles, issued_at=members.issued_at
    )


def _sign(heading: bytes, statement: bytes, seed: bytes) -> Signed:
    key = Ed25519PrivateKey.from_private_bytes(seed)
    return Signed(statement=statement, signature=key.sign(heading + statement))


def _verify(heading: bytes, signed: Signed, key: bytes, kind: type[T]) -> T:
    if not _is_signed(heading + signed.statement, signed.signature, key):
        raise Untrusted("What a peer says of this swarm's members is not signed by whom it should be.")
    try:
        return msgspec.json.decode(signed.statement, type=kind)
    except UNREADABLE as error:
        raise Untrusted(f"A signed statement about this swarm cannot be understood: {error}.") from error


def _is_signed(content: bytes, signature: bytes, key: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, content)
    except (InvalidSignature, ValueError):
        return False
    return True
