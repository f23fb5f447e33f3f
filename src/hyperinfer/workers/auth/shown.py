"""Rows of the database as people and gateways see them. Pure."""

from datetime import datetime

from hyperinfer.contracts.auth import Principal
from hyperinfer.contracts.limits import Subject
from hyperinfer.contracts.people import Account, ApiKey, NewApiKey, OpenSession, PersonInvite
from hyperinfer.protocol import api_keys
from hyperinfer.workers.auth.models import ApiKeyRow, PersonInviteRow, SessionRow, User
from hyperinfer.workers.auth.records import limits_of
from hyperinfer.workers.auth.tiers import Tiers


def principal_of(user: User, tiers: Tiers, *, key: ApiKeyRow | None = None, session_id: str | None = None) -> Principal:
    """Who a credential of this account stands for, as gateways tell it from the directory."""
    limits, own = tiers.of(user.tier), limits_of(user)
    subjects = [Subject(id=f"user:{user.id}", limits=own.over(limits) if own else limits)]
    if key is not None and (of_key := limits_of(key)):
        subjects.append(Subject(id=f"key:{key.id}", limits=of_key))
    return Principal(
        user_id=user.id,
        username=user.username,
        email=user.email,
        role=user.role,
        tier=user.tier,
        key_id=key.id if key else None,
        session_id=session_id,
        scopes=tuple(key.scopes) if key else None,
        models=tuple(key.models) if key else (),
        subjects=tuple(subjects),
    )


def account_of(user: User) -> Account:
    """An account."""
    return Account(
        id=user.id,
        username=user.username,
        email=user.email,
        role=user.role,
        tier=user.tier,
        created_at=text_of(user.created_at),
        is_active=user.is_active,
        last_login_at=text_or_none(user.last_login_at),
        limits=limits_of(user),
    )


def key_of(row: ApiKeyRow) -> ApiKey:
    """An API key without its secret."""
    return ApiKey(
        id=row.id,
        name=row.name,
        prefix=api_keys.PREFIX + row.public_id,
        created_at=text_of(row.created_at),
        last_used_at=text_or_none(row.last_used_at),
        is_active=row.is_active,
        expires_at=text_or_none(row.expires_at),
        scopes=tuple(row.scopes),
        models=tuple(row.models),
        limits=limits_of(row),
    )


def new_key_of(row: ApiKeyRow, key: api_keys.ApiKeyText) -> NewApiKey:
    """An API key with its secret."""
    return NewApiKey(
        id=row.id,
        name=row.name,
        prefix=key.prefix,
        created_at=text_of(row.created_at),
        key=key.text,
        expires_at=text_or_none(row.expires_at),
        scopes=tuple(row.scopes),
        models=tuple(row.models),
        limits=limits_of(row),
    )


def session_of(row: SessionRow, *, current: str | None) -> OpenSession:
    """A session that lasts; `current` is the one that asks."""
    return OpenSession(
        id=row.id,
        created_at=text_of(row.created_at),
        expires_at=text_of(row.expires_at),
        agent=row.agent,
        remote=row.remote,
        current=row.id == current,
    )


def invite_of(row: PersonInviteRow, *, now: datetime, code: str | None = None) -> PersonInvite:
    """An invitation to register; `code` is shown once."""
    return PersonInvite(
        id=row.id,
        role=row.role,
        tier=row.tier,
        created_at=text_of(row.created_at),
        expires_at=text_of(row.expires_at),
        state=_state(row, now),
        email=row.email,
        code=code,
    )


def text_of(moment: datetime) -> str:
    """A moment in UTC as RFC 3339 writes it."""
    return moment.isoformat().replace("+00:00", "Z")


def text_or_none(moment: datetime | None) -> str | None:
    """The same, for one that may not have come."""
    return None if moment is None else text_of(moment)


def _state(row: PersonInviteRow, now: datetime) -> str:
    if row.used_at is not None:
        return "used"
    if row.revoked_at is not None:
        return "revoked"
    return "expired" if row.expires_at <= now else "open"
