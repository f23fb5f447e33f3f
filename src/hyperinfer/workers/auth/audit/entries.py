"""Rows of the audit log as they are written: every text that comes from outside is bounded and made harmless here. Pure.

What a caller sends can end up in an address, a request id or a detail. A line end there would let it forge rows in an
export, a directional mark would make a row read as another, and a database may refuse what is not text at all.
"""

import re
import unicodedata
from collections.abc import Mapping
from datetime import datetime

import msgspec

from hyperinfer.workers.auth.audit.chain import Entry
from hyperinfer.workers.auth.models import AuditLogRow
from hyperinfer.workers.auth.origin import MAX_REMOTE, MAX_REQUEST_ID, Origin

MAX_ACTION = 50
MAX_OUTCOME = 10
MAX_GATEWAY = 64
MAX_DETAILS = 16
MAX_DETAIL_NAME = 40
MAX_DETAIL = 200

HARMFUL = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's controls, invisible marks, halves of surrogate pairs, and ends of lines and paragraphs."""
INSTEAD = "\N{REPLACEMENT CHARACTER}"
CUT = "…"
ID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

_encoder = msgspec.json.Encoder(order="deterministic")
_details = msgspec.json.Decoder(dict[str, str])


def harmless(text: str, most: int) -> str:
    """One line of visible text of at most `most` characters."""
    kept = text if len(text) <= most else text[: most - 1] + CUT
    return "".join(INSTEAD if unicodedata.category(char) in HARMFUL else char for char in kept)


def is_id(text: str) -> bool:
    """Whether a text can be an account's id; PostgreSQL refuses to look for anything else."""
    return ID.fullmatch(text) is not None


def cleaned(details: Mapping[str, str]) -> dict[str, str]:
    """Details as a row can hold them; those beyond `MAX_DETAILS` are left out."""
    kept = list(details.items())[:MAX_DETAILS]
    return {harmless(name, MAX_DETAIL_NAME): harmless(value, MAX_DETAIL) for name, value in kept}


def entry_of(
    origin: Origin,
    action: str,
    *,
    seq: int,
    at: datetime,
    outcome: str,
    actor: str | None,
    target: str | None,
    details: Mapping[str, str] | None,
) -> Entry:
    """What a row is to say."""
    return Entry(
        seq=seq,
        at=at,
        action=harmless(action, MAX_ACTION),
        outcome=harmless(outcome, MAX_OUTCOME),
        actor=actor,
        target=target,
        remote=harmless(origin.remote, MAX_REMOTE),
        gateway=harmless(origin.gateway, MAX_GATEWAY),
        request_id=harmless(origin.request_id, MAX_REQUEST_ID) if origin.request_id else None,
        details=_encoder.encode(cleaned(details or {})).decode(),
    )


def row_of(entry: Entry, link: str) -> AuditLogRow:
    """The row of an entry."""
    return AuditLogRow(
        seq=entry.seq,
        at=entry.at,
        action=entry.action,
        outcome=entry.outcome,
        actor=entry.actor,
        target=entry.target,
        remote=entry.remote,
        gateway=entry.gateway,
        request_id=entry.request_id,
        details=entry.details,
        link=link,
    )


def entry_in(row: AuditLogRow) -> Entry:
    """The entry that a row holds now, whoever wrote it there."""
    return Entry(
        seq=row.seq,
        at=row.at,
        action=row.action,
        outcome=row.outcome,
        actor=row.actor,
        target=row.target,
        remote=row.remote,
        gateway=row.gateway,
        request_id=row.request_id,
        details=row.details,
    )


def details_in(row: AuditLogRow) -> dict[str, str]:
    """A row's details; where somebody has written there what is no such thing, that as it stands."""
    try:
        return _details.decode(row.details)
    except msgspec.DecodeError:
        return {"unreadable": harmless(row.details, MAX_DETAIL)}
