"""The accounts' database: what is read and written, one short transaction each."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker

from hyperinfer.errors import Conflict
from hyperinfer.workers.auth.models import ApiKeyRow, User

MIGRATIONS = Path(__file__).parent / "migrations"


class AuthStore:
    """Users and API keys. What a method has returned from is synced to the disk."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._sessions = async_sessionmaker(engine, expire_on_commit=False)

    async def add_user(self, user: User, key: ApiKeyRow) -> None:
        """Add an account and its first key. Raises `Conflict` if the name or the e-mail is taken."""
        try:
            async with self._sessions.begin() as session:
                session.add(user)
                await session.flush()
                session.add(key)
        except IntegrityError as error:
            raise Conflict("An account with this e-mail or username exists already.") from error

    async def user_named(self, name: str) -> User | None:
        """The account with this username or e-mail, in lower case."""
        column = User.email if "@" in name else User.username
        async with self._sessions() as session:
            return await session.scalar(select(User).where(column == name))

    async def user(self, user_id: str) -> User | None:
        """An account by id."""
        async with self._sessions() as session:
            return await session.scalar(select(User).where(User.id == user_id))

    async def usernames_like(self, start: str) -> Sequence[str]:
        """Usernames that begin so; at most a thousand."""
        async with self._sessions() as session:
            found = await session.scalars(
                select(User.username).where(User.username.startswith(start, autoescape=True)).limit(1000)
            )
            return found.all()

    async def first_admin(self) -> User | None:
        """The administrator that was made first."""
        async with self._sessions() as session:
            wanted = select(User).where(User.role == "admin").order_by(User.created_at).limit(1)
            return await session.scalar(wanted)

    async def set_password(self, user_id: str, password_hash: str) -> None:
        """Replace a password's hash."""
        async with self._sessions.begin() as session:
            await session.execute(update(User).where(User.id == user_id).values(password_hash=password_hash))

    async def add_key(self, key: ApiKeyRow) -> None:
        """Add an API key."""
        async with self._sessions.begin() as session:
            session.add(key)

    async def keys_of(self, user_id: str) -> Sequence[ApiKeyRow]:
        """A user's keys, newest first."""
        async with self._sessions() as session:
            found = await session.scalars(
                select(ApiKeyRow).where(ApiKeyRow.user_id == user_id).order_by(ApiKeyRow.created_at.desc())
            )
            return found.all()

    async def key_with_user(self, public_id: str) -> tuple[ApiKeyRow, User] | None:
        """A key by its public id, and whose it is."""
        async with self._sessions() as session:
            found = await session.execute(
                select(ApiKeyRow, User).join(User, User.id == ApiKeyRow.user_id).where(ApiKeyRow.public_id == public_id)
            )
            row = found.one_or_none()
            return (row[0], row[1]) if row is not None else None

    async def revoke_key(self, user_id: str, key_id: str) -> ApiKeyRow | None:
        """End a key of a user; nothing if the user has no such key."""
        async with self._sessions.begin() as session:
            key = await session.scalar(
                select(ApiKeyRow).where(ApiKeyRow.id == key_id, ApiKeyRow.user_id == user_id).with_for_update()
            )
            if key is not None:
                key.is_active = False
            return key

    async def keys_used(self, when: Mapping[str, datetime]) -> None:
        """Note when keys were last used, by their ids."""
        async with self._sessions.begin() as session:
            for key_id, moment in when.items():
                await session.execute(update(ApiKeyRow).where(ApiKeyRow.id == key_id).values(last_used_at=moment))
