"""Who acts: what a gateway says of a person is looked up here, as it is at this moment, before anything is done.

A gateway tells account, and key or session. Whether that session still lasts, what the key may do and which role the person
has is never the gateway's to say.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from hyperinfer.contracts.acting import Actor
from hyperinfer.contracts.method import ADMIN, Access, Method
from hyperinfer.errors import Forbidden, Unauthenticated
from hyperinfer.facilities.clock import Clock
from hyperinfer.workers.auth.change import AuthDatabase, Change
from hyperinfer.workers.auth.models import ApiKeyRow, SessionRow, User
from hyperinfer.workers.auth.origin import Origin
from hyperinfer.workers.auth.store import key_of, user_by_id

NOT_VALID = "This credential is no longer valid; log in again, or use another API key."
MAX_SESSION_ID = 32
NO_SESSION = "This takes a session, not an API key: log in."


@dataclass(frozen=True, slots=True)
class Acting:
    """A person who acts, by an API key or a session."""

    user: User
    key: ApiKeyRow | None = None
    session: SessionRow | None = None


class Actors:
    """Lets people act who may."""

    def __init__(self, database: AuthDatabase, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def admit(self, rows: AsyncSession, actor: Actor | None, access: Access) -> Acting:
        """Who acts, if they may do what has this access. Raises `Unauthenticated`, `Forbidden`."""
        user = await user_by_id(rows, actor.user_id) if actor else None
        if actor is None or user is None or not user.is_active:
            raise Unauthenticated(NOT_VALID)
        acting = (
            await self._with_key(rows, user, actor) if actor.key_id else await self._with_session(rows, user, actor)
        )
        if access.scope == "session" and acting.session is None:
            raise Forbidden(NO_SESSION)
        if acting.key is not None and access.scope not in acting.key.scopes:
            raise Forbidden(f"This API key may not do that: it lacks the scope {access.scope!r}.")
        if access.kind == ADMIN.kind and user.role != "admin":
            raise Forbidden("This is for administrators.")
        return acting

    @asynccontextmanager
    async def change(self, origin: Origin, method: Method[Any, Any]) -> AsyncIterator[tuple[Change, Acting]]:
        """A change by who may ask for it. Raises as `admit`, and `Unavailable`."""
        async with self._database.change(origin) as change:
            yield change, await self.admit(change.session, origin.actor, method.access)

    @asynccontextmanager
    async def read(self, origin: Origin, method: Method[Any, Any]) -> AsyncIterator[tuple[AsyncSession, Acting]]:
        """A look by who may have it. Raises as `admit`, and `Unavailable`."""
        async with self._database.read() as rows:
            yield rows, await self.admit(rows, origin.actor, method.access)

    async def admin(self, actor: Actor) -> Acting:
        """Who acts, if an administrator. Raises as `admit`, and `Unavailable`."""
        async with self._database.read() as rows:
            return await self.admit(rows, actor, ADMIN)

    async def _with_key(self, rows: AsyncSession, user: User, actor: Actor) -> Acting:
        key = await key_of(rows, user.id, actor.key_id or "")
        if key is None or not key.is_active or (key.expires_at and key.expires_at <= self._clock.now()):
            raise Unauthenticated(NOT_VALID)
        return Acting(user, key=key)

    async def _with_session(self, rows: AsyncSession, user: User, actor: Actor) -> Acting:
        session_id = actor.session_id or ""
        session = await rows.get(SessionRow, session_id) if is_session_id(session_id) else None
        if session is None or session.user_id != user.id or not lasts(session, self._clock):
            raise Unauthenticated(NOT_VALID)
        return Acting(user, session=session)


def lasts(session: SessionRow, clock: Clock) -> bool:
    """Whether a session has neither ended nor expired."""
    return session.ended_at is None and session.expires_at > clock.now()


def is_session_id(text: str) -> bool:
    """Whether a text can be a session's id: PostgreSQL refuses to look for some that cannot."""
    return len(text) <= MAX_SESSION_ID and text.isascii() and text.isalnum()
