"""The directory of credentials: what auth tells gateways, so that they authenticate and limit without asking.

It is a log of changes of which the newest of each record is kept. A gateway has read it up to a sequence number and
is told what is newer. It never goes to machines that merely run models.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from hyperinfer.contracts.acting import GATEWAYS
from hyperinfer.contracts.limits import Limits
from hyperinfer.contracts.method import Method, Nothing, Wire

PAGE = 500
"""Changes in one page at most."""

USER = "user"
KEY = "key"
SESSION = "session"
SIGNING = "signing"
TIER = "tier"
ALIAS = "alias"

DEFAULT_TIER = "default"
"""The tier that there always is; whoever is of one that is not known is limited by it."""


class UserRecord(Wire, frozen=True):
    """A person, by account id."""

    username: str
    email: str
    role: str = "user"
    tier: str = "default"
    is_active: bool = True
    limits: Limits | None = None


class KeyRecord(Wire, frozen=True):
    """An API key, by key id. `digest` is the SHA-256 of the whole key in hex, `expires_at` seconds since the epoch."""

    user_id: str
    digest: str
    is_active: bool = True
    expires_at: float | None = None
    scopes: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    limits: Limits | None = None


class SessionRecord(Wire, frozen=True):
    """A session that has been ended before its time, by session id; kept until its token would have expired."""

    expires_at: float


class SigningRecord(Wire, frozen=True):
    """A public key that verifies session tokens, by key id, as a JWK."""

    jwk: dict[str, str]


class TierRecord(Wire, frozen=True):
    """A tier, by name."""

    limits: Limits


class AliasRecord(Wire, frozen=True):
    """A name that stands for models, by that name: the first of them that can answers."""

    models: tuple[str, ...]


GONE = msgspec.Raw(b"null")


class Change(Wire, frozen=True):
    """The newest state of one record: its kind, its id and what it is now; `null` if it is gone."""

    seq: int
    kind: str
    id: str
    record: msgspec.Raw = GONE

    @property
    def is_gone(self) -> bool:
        """Whether the record is no more."""
        return self.record == GONE


class Since(Wire, frozen=True):
    """How far a gateway has read, and of which directory. Without an id it has read nothing."""

    directory: Annotated[str, Meta(max_length=64)] = ""
    seq: Annotated[int, Meta(ge=0)] = 0


class Changes(Wire, frozen=True, omit_defaults=False):
    """Changes in the order of their numbers, up to `seq`. `is_whole` says that they begin a directory anew: what was
    known before is to be forgotten. `more` says that there are newer ones already."""

    directory: str
    seq: int
    changes: tuple[Change, ...] = ()
    is_whole: bool = False
    more: bool = False


GET_DIRECTORY = Method("getDirectory", Since, Changes, GATEWAYS, quiet=True)
WATCH_DIRECTORY = Method("watchDirectory", Since, Nothing, GATEWAYS, streams=True, quiet=True)
"""Chunks are `Changes`: those there are, then each as it happens, and an empty one at least every few seconds."""

METHODS = (GET_DIRECTORY, WATCH_DIRECTORY)
