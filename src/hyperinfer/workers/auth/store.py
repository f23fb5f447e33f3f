"""The accounts' database: what is read and written, one short transaction each."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from hyperinfer.errors import Conflict
from hyperinfer.facilities.store import Database
from hyperinfer.workers.auth.models import ApiKeyRow, SigningKeyRow, User

MIGRATIONS = Path(__file__).parent / "migrations"


class AuthStore:
    """Users, API keys and signing keys. What a method has returned from is synced to the disk.

    Every method raises `Unavailable` where the database cannot be used now.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._database = Database(engine)

    # --- accounts -------------------------------------------------------------------------------------------

    async def add_user(self, user: User, key: ApiKeyRow) -> None:
        """Add an account and its first key. Raises `Conflict` if the name or the e-mail is taken."""
        try:
            async with self._database.write() as session:
                session.add(user)
                await session.flush()
                session.add(key)
        except IntegrityError as error:
            raise Conflict("An account with this e-mail or username exists already.") from error

    async def user_named(self, name: str) -> User | None:
        """The account with this username or e-mail, in lower case."""
        column = User.email if "@" in name else User.username
        async with self._database.read() as session:
            return await session.scalar(select(User).where(column == name))

    async def user(self, user_id: str) -> User | None:
        """An account by id."""
        async with self._database.read() as session:
            return await session.get(User, user_id)

    async def first_admin(self) -> User | None:
        """The administrator that was made first."""
        async with self._database.read() as session:
            wanted = select(User).where(User.role == "admin").order_by(User.created_at, User.id).limit(1)
            return await session.scalar(wanted)

    async def set_password(self, user_id: str, password_hash: str) -> None:
        """Replace a password's hash."""
        async with self._database.write() as session:
            await session.execute(update(User).where(User.id == user_id).values(password_hash=password_hash))

    # --- API keys -------------------------------------------------------------------------------------------

    async def add_key(self, key: ApiKeyRow, *, most: int) -> bool:
        """Add an API key, unless its user has `most` active ones already; says whether it was added."""
        async with self._database.write() as session:
            active = select(func.count()).where(ApiKeyRow.user_id == key.user_id, ApiKeyRow.is_active)
            if (await session.scalar(active) or 0) >= most:
                return False
            session.add(key)
            return True

    async def keys_of(self, user_id: str, *, most: int) -> Sequence[ApiKeyRow]:
        """A user's keys, newest first; beyond `most`, revoked ones are left out first."""
        wanted = select(ApiKeyRow).where(ApiKeyRow.user_id == user_id)
        async with self._database.read() as session:
            found = await session.scalars(
                wanted.order_by(ApiKeyRow.is_active.desc(), ApiKeyRow.created_at.desc()).limit(most)
            )
            return sorted(found, key=lambda row: row.created_at, reverse=True)

    async def key_with_user(self, public_id: str) -> tuple[ApiKeyRow, User] | None:
        """A key by its public id, and whose it is."""
        wanted = select(ApiKeyRow, User).join(User, User.id == ApiKeyRow.user_id)
        async with self._database.read() as session:
            row = (await session.execute(wanted.where(ApiKeyRow.public_id == public_id))).one_or_none()
            return (row[0], row[1]) if row is not None else None

    async def revoke_key(self, user_id: str, key_id: str) -> ApiKeyRow | None:
        """End a key of a user; nothing if the user has no such key."""
        async with self._database.write() as session:
            key = await session.scalar(
                select(ApiKeyRow).where(ApiKeyRow.id == key_id, ApiKeyRow.user_id == user_id).with_for_update()
            )
            if key is not None:
                key.is_active = False
            return key

    async def keys_used(self, when: Mapping[str, datetime]) -> None:
        """Note when keys were last used, by their ids, all at once."""
        if not when:
            return
        statement = update(ApiKeyRow).where(ApiKeyRow.id == bindparam("key")).values(last_used_at=bindparam("moment"))
        async with self._database.write() as session:
            connection = await session.connection()
            await connection.execute(statement, [{"key": key, "moment": moment} for key, moment in when.items()])

    # --- signing keys ---------------------------------------------------------------------------------------

    @asynccontextmanager
    async def signing_keys(self) -> AsyncIterator["SigningKeys"]:
        """Look and change in one transaction, so that of two processes the second finds what the first has made."""
        async with self._database.write() as session:
            yield SigningKeys(session)


class SigningKeys:
    """The signing keys within one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def current(self) -> SigningKeyRow | None:
        """The key that has not been retired."""
        wanted = select(SigningKeyRow).where(SigningKeyRow.retired_at.is_(None))
        return await self._session.scalar(wanted.order_by(SigningKeyRow.created_at.desc()).limit(1))

    def add(self, row: SigningKeyRow) -> None:
        """Add a key."""
        self._session.add(row)
