"""Rows of the database as the directory tells gateways of them. Pure."""

import msgspec

from hyperinfer.contracts import directory as contract
from hyperinfer.contracts.limits import Limits
from hyperinfer.protocol import session_tokens
from hyperinfer.workers.auth.models import ApiKeyRow, SessionRow, SigningKeyRow, User


def user_record(user: User) -> contract.UserRecord:
    """A person."""
    return contract.UserRecord(
        username=user.username,
        email=user.email,
        role=user.role,
        tier=user.tier,
        is_active=user.is_active,
        limits=limits_of(user),
    )


def key_record(key: ApiKeyRow) -> contract.KeyRecord:
    """An API key."""
    return contract.KeyRecord(
        user_id=key.user_id,
        digest=key.key_hash,
        is_active=key.is_active,
        expires_at=key.expires_at.timestamp() if key.expires_at else None,
        scopes=tuple(key.scopes),
        models=tuple(key.models),
        limits=limits_of(key),
    )


def ended_record(session: SessionRow) -> contract.SessionRecord:
    """A session that has been ended, until its token would have expired."""
    return contract.SessionRecord(expires_at=session.expires_at.timestamp())


def signing_record(key: SigningKeyRow) -> contract.SigningRecord:
    """A key that verifies session tokens."""
    return contract.SigningRecord(jwk=session_tokens.jwk_of(bytes.fromhex(key.public_key), key.id))


def limits_of(row: User | ApiKeyRow) -> Limits | None:
    """The limits that a person or a key has of its own."""
    return None if row.limits is None else msgspec.convert(row.limits, Limits)


def stored(limits: Limits | None) -> dict[str, int] | None:
    """Limits as a row holds them; those that limit nothing are none."""
    content: dict[str, int] = msgspec.to_builtins(limits) if limits is not None else {}
    return content or None
