"""Membership: who belongs to the swarm, as auth says it under the root key, and how a machine comes to belong.

What is signed travels as the bytes that were signed, so that a field which a reader does not know is still covered by
the signature. The chain is: the root key signs the epoch, which names auth's key; auth's key signs everything else.
"""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from hyperinfer.contracts.method import ANY_MEMBER, INVITED, PUBLIC, Method, Nothing, Wire

Hex = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
"""A public key: 32 bytes in hexadecimal."""

Moment = Annotated[datetime, Meta(tz=True)]

MAX_NAME = 64


class Signed(Wire, frozen=True):
    """A statement, as JSON, and the ed25519 signature over it; both in base64."""

    statement: Annotated[bytes, Meta(max_length=8 * 1024 * 1024)]
    signature: Annotated[bytes, Meta(min_length=64, max_length=64)]


class Epoch(Wire, frozen=True):
    """Which key is auth's from now on, said by the root key. Of two epochs the one with the higher number holds.

    `directory` is the key of the core that replicates the directories, where there is one.
    """

    epoch: Annotated[int, Meta(ge=1)]
    auth: Hex
    directory: Hex | None = None


class Member(Wire, frozen=True):
    """A worker key that the swarm admits. `public_key` is hex; `since` and `revoked` are RFC 3339 in UTC.

    `invite` is the public key of the invite that the member joined by, if it did.
    """

    public_key: Hex
    roles: tuple[str, ...]
    name: str = ""
    since: Moment | None = None
    revoked: Moment | None = None
    invite: Hex | None = None

    @property
    def key(self) -> bytes:
        """The public key as 32 bytes."""
        return bytes.fromhex(self.public_key)


class MemberList(Wire, frozen=True):
    """Every member, revoked ones included, said by auth. Within an epoch the list with the higher version holds.

    `extra` is what goes to every member along with it, by name: the head of the audit log, and more with time.
    """

    epoch: int
    version: int
    issued_at: Moment
    members: tuple[Member, ...] = ()
    extra: dict[str, msgspec.Raw] = {}


class Certificate(Wire, frozen=True):
    """One member by itself, said by auth: for strangers, whom the list is none of the business of."""

    epoch: int
    public_key: Hex
    roles: tuple[str, ...]
    issued_at: Moment


class Published(Wire, frozen=True):
    """The member list with all that proves it: the epoch signed by the root key, the list signed by that epoch's auth.

    `certificates` are those of members that strangers meet, by public key.
    """

    epoch: Signed
    members: Signed
    certificates: dict[str, Signed] = {}


class Newest(Wire, frozen=True):
    """The newest list that a member has; zeros for none."""

    epoch: Annotated[int, Meta(ge=0)] = 0
    version: Annotated[int, Meta(ge=0)] = 0


class Join(Wire, frozen=True):
    """A worker asks to be a member, over a connection made with the key pair of its invite.

    `signature` is the worker's own, over what `protocol.membership.joining` gives: this invite, this swarm, this role.
    `name` is what it would like to be called.
    """

    public_key: Hex
    signature: Annotated[bytes, Meta(min_length=64, max_length=64)]
    name: Annotated[str, Meta(max_length=MAX_NAME)] = ""


class Introduction(Wire, frozen=True):
    """What a member shows to somebody who knows the root key alone."""

    epoch: Signed
    certificate: Signed


JOIN = Method("join", Join, Published, INVITED)
WATCH_MEMBERS = Method("watchMembers", Newest, Nothing, ANY_MEMBER, streams=True, quiet=True)
"""Chunks are `Published`: the list that there is, if it is newer than the caller's, then each as it is issued."""

INTRODUCE = Method("introduce", Nothing, Introduction, PUBLIC, quiet=True)
"""Answered by every worker, beside its own contract; the other two by auth."""

METHODS = (JOIN, WATCH_MEMBERS, INTRODUCE)
