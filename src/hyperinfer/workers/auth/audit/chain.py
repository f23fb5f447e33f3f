"""The chain of the audit log: each row is linked to the one before by an HMAC under a key outside the database. Pure."""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

KEY_BYTES = 32
START = ""
"""The link before the first row."""

_encoder = msgspec.json.Encoder(order="deterministic")


@dataclass(frozen=True, slots=True)
class Entry:
    """What one row says. `actor` and `target` are subject ids, `details` short texts by name, never a secret."""

    seq: int
    at: datetime
    action: str
    outcome: str
    actor: str | None
    target: str | None
    remote: str
    gateway: str
    request_id: str | None
    details: str


def link_of(entry: Entry, *, before: str, key: bytes) -> str:
    """The link of a row after one whose link is `before`, in hexadecimal."""
    said = _encoder.encode(
        [
            before,
            entry.seq,
            entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
            entry.action,
            entry.outcome,
            entry.actor,
            entry.target,
            entry.remote,
            entry.gateway,
            entry.request_id,
            entry.details,
        ]
    )
    return hmac.new(key, said, hashlib.sha256).hexdigest()


def is_linked(entry: Entry, link: str, *, before: str, key: bytes) -> bool:
    """Whether a row is the one that was written after `before`."""
    return hmac.compare_digest(link_of(entry, before=before, key=key), link)
