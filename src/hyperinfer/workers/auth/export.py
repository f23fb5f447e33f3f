"""All that is kept of a person, for themselves: no secret, no hash, and nobody else's name."""

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from hyperinfer.workers.auth.audit.entries import details_in
from hyperinfer.workers.auth.keys import keys_of
from hyperinfer.workers.auth.models import (
    AuditLogRow,
    AuditSubject,
    PasswordReset,
    RequestLog,
    SessionRow,
    UsageStats,
    User,
)
from hyperinfer.workers.auth.shown import account_of, key_of, text_of, text_or_none

MOST = 1000
"""Requests and rows of the audit log, the newest ones."""
MOST_DAYS = 5000
"""Sums by day and key."""


async def everything_on(rows: AsyncSession, user: User, *, now: datetime) -> dict[str, Any]:
    """The whole of it, as JSON has it."""
    return {
        "exported_at": text_of(now),
        "account": _plain(account_of(user)),
        "api_keys": [_plain(key_of(row)) for row in await keys_of(rows, user.id)],
        "sessions": await _sessions(rows, user),
        "password_resets": await _resets(rows, user),
        "usage_by_day": await _usage(rows, user),
        "requests": await _requests(rows, user),
        "audit_log": await _audit(rows, user),
    }


async def _sessions(rows: AsyncSession, user: User) -> list[dict[str, Any]]:
    newest = select(SessionRow).where(SessionRow.user_id == user.id).order_by(SessionRow.created_at.desc())
    return [
        {
            "id": row.id,
            "created_at": text_of(row.created_at),
            "expires_at": text_of(row.expires_at),
            "ended_at": text_or_none(row.ended_at),
            "agent": row.agent,
            "remote": row.remote,
        }
        for row in await rows.scalars(newest.limit(MOST))
    ]


async def _resets(rows: AsyncSession, user: User) -> list[dict[str, Any]]:
    newest = select(PasswordReset).where(PasswordReset.user_id == user.id).order_by(PasswordReset.created_at.desc())
    return [
        {
            "created_at": text_of(row.created_at),
            "expires_at": text_of(row.expires_at),
            "used_at": text_or_none(row.used_at),
        }
        for row in await rows.scalars(newest.limit(MOST))
    ]


async def _usage(rows: AsyncSession, user: User) -> list[dict[str, Any]]:
    newest = select(UsageStats).where(UsageStats.user_id == user.id).order_by(UsageStats.date.desc(), UsageStats.id)
    return [
        {
            "date": row.date.isoformat(),
            "api_key_id": row.api_key_id,
            "requests": row.request_count,
            "errors": row.error_count,
            "prompt_tokens": row.prompt_tokens,
            "completion_tokens": row.completion_tokens,
        }
        for row in await rows.scalars(newest.limit(MOST_DAYS))
    ]


async def _requests(rows: AsyncSession, user: User) -> list[dict[str, Any]]:
    newest = select(RequestLog).where(RequestLog.user_id == user.id).order_by(RequestLog.created_at.desc())
    return [
        {
            "id": row.id,
            "created_at": text_of(row.created_at),
            "api_key_id": row.api_key_id,
            "kind": row.kind,
            "model": row.model_used,
            "status": row.status,
            "error_code": row.error_code,
            "prompt_tokens": row.prompt_tokens,
            "completion_tokens": row.completion_tokens,
            "response_time_ms": row.response_time_ms,
            "request_id": row.request_id,
            "prompt_hash": row.prompt_hash,
        }
        for row in await rows.scalars(newest.limit(MOST))
    ]


async def _audit(rows: AsyncSession, user: User) -> list[dict[str, Any]]:
    """What this person did, and what was done to the account: by whom else, and from where, is not told."""
    subject = await rows.scalar(select(AuditSubject.subject).where(AuditSubject.user_id == user.id))
    if subject is None:
        return []
    newest = select(AuditLogRow).where(or_(AuditLogRow.actor == subject, AuditLogRow.target == subject))
    return [
        {
            "at": text_of(row.at),
            "action": row.action,
            "outcome": row.outcome,
            "by_you": row.actor == subject,
            "on_you": row.target == subject,
            "remote": row.remote if row.actor == subject else "",
            "details": details_in(row),
        }
        for row in await rows.scalars(newest.order_by(AuditLogRow.seq.desc()).limit(MOST))
    ]


def _plain(struct: msgspec.Struct) -> dict[str, Any]:
    """A struct of the contract with all its fields, in Python's spelling as the HTTP interface has them."""
    plain: dict[str, Any] = msgspec.to_builtins(msgspec.structs.asdict(struct))
    return plain
