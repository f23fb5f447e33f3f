"""Accounts as the contract shows them. Pure."""

from datetime import datetime

from hyperinfer.contracts.auth import Principal
from hyperinfer.contracts.people import Account
from hyperinfer.workers.auth.models import User


def principal_of(user: User, *, key_id: str | None = None, session_id: str | None = None) -> Principal:
    """Who a credential of this account stands for."""
    return Principal(
        user_id=user.id,
        username=user.username,
        email=user.email,
        role=user.role,
        tier=user.tier,
        key_id=key_id,
        session_id=session_id,
    )


def account_of(user: User) -> Account:
    """An account as others may see it."""
    return Account(
        id=user.id,
        username=user.username,
        email=user.email,
        role=user.role,
        tier=user.tier,
        created_at=text_of(user.created_at),
    )


def text_of(moment: datetime) -> str:
    """A moment in UTC as RFC 3339 writes it."""
    return moment.isoformat().replace("+00:00", "Z")
