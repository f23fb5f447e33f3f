"""What several parts of auth look up in the accounts' database, each within a session that the caller has opened."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from hyperinfer.workers.auth.models import ApiKeyRow, SessionRow, User
from hyperinfer.workers.auth.passwords import BCRYPT_START, costliest

MIGRATIONS = Path(__file__).parent / "migrations"


def uuid_of(text: str) -> str | None:
    """An id as the database writes it; nothing for what can be none."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return None


async def user_by_id(session: AsyncSession, user_id: str) -> User | None:
    """An account by id, whatever text that is."""
    wanted = uuid_of(user_id)
    return await session.get(User, wanted) if wanted else None


async def user_named(session: AsyncSession, name: str) -> User | None:
    """The account with this username or e-mail, in the form that is stored."""
    if not name.isprintable():
        return None
    return await session.scalar(select(User).where((User.email if "@" in name else User.username) == name))


async def is_taken(session: AsyncSession, *, email: str, username: str | None = None) -> bool:
    """Whether an account has this e-mail or this username."""
    same = User.email == email if username is None else or_(User.email == email, User.username == username)
    return await session.scalar(select(User.id).where(same).limit(1)) is not None


async def first_admin(session: AsyncSession) -> User | None:
    """The administrator that was made first."""
    wanted = select(User).where(User.role == "admin").order_by(User.created_at, User.id).limit(1)
    return await session.scalar(wanted)


async def costliest_bcrypt(session: AsyncSession) -> int | None:
    """The cost of the costliest hash of bcrypt among the accounts'; nothing if there is none."""
    starts = select(func.substr(User.password_hash, 1, BCRYPT_START)).where(User.password_hash.like("$2%"))
    return costliest(await session.scalars(starts.distinct()))


async def has_another_admin(session: AsyncSession, user_id: str) -> bool:
    """Whether somebody else is an administrator who may log in."""
    wanted = select(User.id).where(User.role == "admin", User.is_active, User.id != user_id)
    return await session.scalar(wanted.limit(1)) is not None


async def key_of(session: AsyncSession, user_id: str, key_id: str) -> ApiKeyRow | None:
    """A key by id, if it is this person's."""
    wanted = uuid_of(key_id)
    if wanted is None:
        return None
    return await session.scalar(select(ApiKeyRow).where(ApiKeyRow.id == wanted, ApiKeyRow.user_id == user_id))


async def active_keys(session: AsyncSession, user_id: str, now: datetime) -> int:
    """How many keys of a person work."""
    lasts = or_(ApiKeyRow.expires_at.is_(None), ApiKeyRow.expires_at > now)
    count = select(func.count()).select_from(ApiKeyRow)
    return await session.scalar(count.where(ApiKeyRow.user_id == user_id, ApiKeyRow.is_active, lasts)) or 0


async def open_sessions(session: AsyncSession, user_id: str, now: datetime) -> Sequence[SessionRow]:
    """The sessions of a person that last, newest first."""
    wanted = select(SessionRow).where(
        SessionRow.user_id == user_id, SessionRow.ended_at.is_(None), SessionRow.expires_at > now
    )
    return (await session.scalars(wanted.order_by(SessionRow.created_at.desc(), SessionRow.id))).all()
