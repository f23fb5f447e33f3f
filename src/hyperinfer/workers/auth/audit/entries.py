"""Rows of the audit log as they are written and read back. Pure."""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from hyperinfer.workers.auth.audit.chain import Entry
from hyperinfer.workers.auth.audit.texts import MAX_ACTION, MAX_DETAIL, MAX_GATEWAY, MAX_OUTCOME, cleaned, harmless
from hyperinfer.workers.auth.models import AuditLogRow
from hyperinfer.workers.auth.origin import MAX_REMOTE, MAX_REQUEST_ID, Origin

_encoder = msgspec.json.Encoder(order="deterministic")
_details = msgspec.json.Decoder(dict[str, str])


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
