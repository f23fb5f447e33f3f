"""Sessions: opened by logging in, refreshed, listed and ended. Each is a row; its tokens are signed and kept nowhere."""

import uuid
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from hyperinfer.contracts import auth as contract
from hyperinfer.contracts import people
from hyperinfer.contracts.acting import Actor
from hyperinfer.contracts.auth import Validated
from hyperinfer.contracts.directory import SESSION
from hyperinfer.contracts.method import Nothing
from hyperinfer.contracts.people import OpenSessions, Session
from hyperinfer.errors import BadRequest, Forbidden, HyperinferError, NotFound, RateLimited, Unauthenticated
from hyperinfer.facilities.clock import Clock
from hyperinfer.protocol import session_tokens
from hyperinfer.workers.auth import names
from hyperinfer.workers.auth.actors import Actors, is_session_id, lasts
from hyperinfer.workers.auth.audit.texts import harmless
from hyperinfer.workers.auth.change import AuthDatabase, Change
from hyperinfer.workers.auth.config import SessionSettings
from hyperinfer.workers.auth.guesses import Guesses, address_of
from hyperinfer.workers.auth.keys import VALID_FOR_S
from hyperinfer.workers.auth.models import SessionRow, User
from hyperinfer.workers.auth.noting import Notes
from hyperinfer.workers.auth.origin import LOCAL, Origin
from hyperinfer.workers.auth.passwords import Passwords, is_outdated
from hyperinfer.workers.auth.records import ended_record
from hyperinfer.workers.auth.shown import account_of, principal_of, session_of
from hyperinfer.workers.auth.signing import Signing
from hyperinfer.workers.auth.store import open_sessions, user_by_id, user_named
from hyperinfer.workers.auth.tiers import Tiers

MAX_OPEN = 100
"""Sessions of one person that last; one more ends the oldest."""
MAX_KEPT = 200
"""Sessions of one person that are remembered, those that have ended included."""
MAX_AGENT = 200
MAX_REMOTE = 64

WRONG_LOGIN = "Wrong name or password."
DEACTIVATED = "This account has been deactivated; ask an administrator."


class Sessions:
    """Sessions over one database."""

    def __init__(
        self,
        database: AuthDatabase,
        actors: Actors,
        *,
        signing: Signing,
        passwords: Passwords,
        guesses: Guesses,
        notes: Notes,
        tiers: Tiers,
        clock: Clock,
        settings: SessionSettings,
    ) -> None:
        self._database = database
        self._actors = actors
        self._signing = signing
        self._passwords = passwords
        self._guesses = guesses
        self._notes = notes
        self._tiers = tiers
        self._clock = clock
        self._settings = settings

    # --- opening --------------------------------------------------------------------------------------------

    async def login(self, request: contract.Login, origin: Origin = LOCAL) -> Session:
        """Begin a session.

        Raises `Unauthenticated`, in the same words and time whether the account exists or not; `Forbidden` to who knows
        the password of a deactivated account; `RateLimited`, `Overloaded`, `BadRequest`.
        """
        name = names.name_of(request.email or request.username or "")
        if not name or not request.password:
            raise BadRequest(
                "Logging in needs a name or e-mail, and a password.", param="email" if not name else "password"
            )
        async with self._database.read() as rows:
            user = await user_named(rows, name)
            is_known = await self._has_been_at(rows, user, origin.remote)
        try:
            with self._guesses.login(user.id if user else name, origin.remote, is_known=is_known):
                checked = await self._checked(user, request.password)
            self._guesses.opened(checked.id)
            return await self._opened(checked, request, origin)
        except (Unauthenticated, Forbidden, RateLimited) as error:
            self._note(user, origin, error)
            raise

    async def _checked(self, user: User | None, password: str) -> User:
        matches = await self._passwords.verify(user.password_hash if user else None, password)
        if user is None or not matches:
            raise Unauthenticated(WRONG_LOGIN)
        if not user.is_active:
            raise Forbidden(DEACTIVATED)
        return user

    async def _opened(self, checked: User, request: contract.Login, origin: Origin) -> Session:
        outdated = is_outdated(checked.password_hash, request.password)
        better = await self._passwords.hash(request.password) if outdated else None
        now = self._clock.now()
        async with self._database.change(replace(origin, actor=Actor(user_id=checked.id))) as change:
            user = await user_by_id(change.session, checked.id)
            if user is None or not user.is_active or user.password_hash != checked.password_hash:
                raise Unauthenticated(WRONG_LOGIN)  # it has changed in this moment
            if better is not None:
                user.password_hash = better
            user.last_login_at = now
            row = SessionRow(
                id=uuid.uuid4().hex,
                user_id=user.id,
                created_at=now,
                expires_at=now + timedelta(seconds=min(self._settings.lasts_s, self._settings.at_most_s)),
                ended_at=None,
                agent=harmless(request.agent, MAX_AGENT),
                remote=harmless(origin.remote, MAX_REMOTE),
            )
            change.session.add(row)
            await self._make_room(change, user)
            await change.audit("session.opened", target=user.id, details={"session": row.id})
            return self._session(user, row)

    async def refresh(self, request: Nothing, origin: Origin) -> Session:
        """A new token for the session that asks, which lasts anew, though not beyond its end."""
        async with self._actors.change(origin, people.REFRESH) as (change, who):
            row = _own(who.session)
            end = row.created_at + timedelta(seconds=self._settings.at_most_s)
            expires = min(self._clock.now() + timedelta(seconds=self._settings.lasts_s), end)
            row.expires_at = max(row.expires_at, expires)
            await change.audit("session.refreshed", target=who.user.id, details={"session": row.id})
            return self._session(who.user, row)

    async def verify(self, token: str) -> Validated:
        """Whose session a token is of, by what the account is now. Raises `Unauthenticated`."""
        async with self._database.read() as rows:
            claims = await self._signing.verify(rows, token)
            row = await rows.get(SessionRow, claims.jti) if is_session_id(claims.jti) else None
            user = await user_by_id(rows, claims.sub)
        if row is None or user is None or row.user_id != user.id or not user.is_active or not lasts(row, self._clock):
            raise session_tokens.not_valid()
        who = principal_of(user, self._tiers, session_id=row.id)
        return Validated(principal=who, valid_for_s=min(claims.exp - self._clock.now().timestamp(), VALID_FOR_S))

    # --- ending ---------------------------------------------------------------------------------------------

    async def logout(self, request: Nothing, origin: Origin) -> Nothing:
        """End the session that asks."""
        async with self._actors.change(origin, people.LOGOUT) as (change, who):
            await end(change, [_own(who.session)], self._clock.now())
        return Nothing()

    async def listed(self, request: Nothing, origin: Origin) -> OpenSessions:
        """The sessions of who asks."""
        async with self._actors.read(origin, people.LIST_SESSIONS) as (rows, who):
            return await self._open(rows, who.user, _own(who.session))

    async def end(self, request: people.EndSessions, origin: Origin) -> OpenSessions:
        """End one session of who asks, or all the others; those left. Raises `NotFound` for another's too."""
        async with self._actors.change(origin, people.END_SESSIONS) as (change, who):
            current = _own(who.session)
            found = await open_sessions(change.session, who.user.id, self._clock.now())
            if request.id is None:
                ending = [row for row in found if row.id != current.id]
            else:
                ending = [row for row in found if row.id == request.id]
                if not ending:
                    raise NotFound("You have no such session.")
            await end(change, ending, self._clock.now())
            return await self._open(change.session, who.user, current)

    # --- within -----------------------------------------------------------------------------------------------

    async def _has_been_at(self, rows: AsyncSession, user: User | None, remote: str) -> bool:
        """Whether a person has logged in from this address. It is looked up for nobody too, which takes as long."""
        nobody = str(uuid.uuid4())
        wanted = select(SessionRow.remote).where(SessionRow.user_id == (user.id if user else nobody)).distinct()
        been_at = {address_of(known) for known in await rows.scalars(wanted.limit(MAX_KEPT))}
        return address_of(harmless(remote, MAX_REMOTE)) in been_at

    async def _make_room(self, change: Change, user: User) -> None:
        now = self._clock.now()
        found = await open_sessions(change.session, user.id, now)
        await end(change, found[MAX_OPEN:], now)
        old = select(SessionRow).where(SessionRow.user_id == user.id).order_by(SessionRow.created_at.desc())
        for row in (await change.session.scalars(old.offset(MAX_KEPT))).all():
            if not lasts(row, self._clock):
                await change.session.delete(row)

    async def _open(self, rows: AsyncSession, user: User, current: SessionRow) -> OpenSessions:
        found = await open_sessions(rows, user.id, self._clock.now())
        return OpenSessions(sessions=tuple(session_of(row, current=current.id) for row in found))

    def _session(self, user: User, row: SessionRow) -> Session:
        lifetime_s = int((row.expires_at - self._clock.now()).total_seconds())
        token = self._signing.sign(principal_of(user, self._tiers), session_id=row.id, lifetime_s=lifetime_s)
        return Session(access_token=token, expires_in_s=lifetime_s, account=account_of(user))

    def _note(self, user: User | None, origin: Origin, error: HyperinferError) -> None:
        self._notes.refused(origin, "session.opened", target=user.id if user else None, details={"reason": error.code})


async def end(change: Change, ending: Iterable[SessionRow], now: datetime) -> None:
    """End sessions: every gateway refuses their tokens from now on."""
    for row in ending:
        row.ended_at = now
        await change.publish(SESSION, row.id, ended_record(row))
        await change.audit("session.ended", target=row.user_id, details={"session": row.id})


async def end_all(change: Change, user_id: str, now: datetime, *, but: str | None = None) -> None:
    """End every session of a person, `but` one."""
    await end(change, [row for row in await open_sessions(change.session, user_id, now) if row.id != but], now)


def _own(session: SessionRow | None) -> SessionRow:
    """The session that asks, which the method's access has seen to."""
    assert session is not None
    return session
